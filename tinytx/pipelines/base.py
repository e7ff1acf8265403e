"""What all answers of `tinytx.pipeline` share: a list of texts in place of one."""


class Pipeline:
    """What all pipelines share: a trained model, and lists of texts in place of one.

    Attributes
    ----------
    uses : Writer, Filler, Translator, Classifier, ...
        The model and its tokenizer.
    """

    use = None  # the class of ``uses``
    takes = (str,)  # the classes of a text, or of what stands in its place

    def __init__(self, uses):
        self.uses = uses

    def _each(self, inputs, answers):
        """Return the answer to a text, or the list of answers to several; ``answers`` takes a list and returns one."""
        several = isinstance(inputs, list | tuple)
        texts = list(inputs) if several else [inputs]
        for text in texts:
            parts = [text.get("text"), text.get("text_pair", "")] if isinstance(text, dict) else [text]
            if not all(isinstance(part, self.takes) for part in parts):
                raise TypeError(f"{type(self).__name__}: {text!r:.80} is a {type(text).__name__}, expected a str or a list of str")
        said = answers(texts) if texts else []
        return said if several else said[0]

    def __repr__(self):
        return f"{type(self).__name__}({type(self.uses.model).__name__}, {self.uses[1]!r})"
