"""Mistakes in encoder-decoders that align: wrong backwards (``GRADIENTS``), and mistakes of all kinds (``TABLE``)."""

GRADIENTS = {
    "models/attention_in_loop.py": [
        ("the query's way is forgotten", "missing term", "AttentionBefore", "dstates[self._top] += dquery[:, 0]  # (3)", "pass"),
        ("the context as the vector has it is forgotten", "missing term", "AttentionBefore", "dcontext + dread, tape)", "dread, tape)"),
        ("the context as the cell has it is forgotten", "missing term", "AttentionBefore", "dcontext + dread, tape)", "dcontext, tape)"),
        ("keys of the first step alone", "missing term", "AttentionBefore", "self.key.backward(sum(dk), tape)", "self.key.backward(dk[-1], tape)"),
        ("values of the last step alone", "missing term", "AttentionBefore", "+ sum(dv)", "+ dv[0]"),
        ("dx in the opposite order", "index", "AttentionBefore", "np.concatenate(dx[::-1], axis=1)", "np.concatenate(dx, axis=1)"),
        ("what is fed is a constant", "missing term", "InputFeeding", "dy if dfed is None else dy + dfed", "dy"),
        ("the query's way is forgotten", "missing term", "InputFeeding", "(dh + dquery, *dstates)", "(dh, *dstates)"),
        ("dcontext and dh exchanged", "wrong operand", "InputFeeding", "dcontext, dh = np.split(self.combine", "dh, dcontext = np.split(self.combine"),
        ("the state of the step after is a constant", "missing term", "InputFeeding", "(dh + dquery, *dstates), tape)", "(dh + dquery, *[None] * len(dstates)), tape)"),
    ],
    "models/aligned_transformer.py": [
        ("the memory as the head compares it", "missing term", "AlignedTransformer", "return None, dmemory + self.decoder.backward(dx, tape)[1]", "return None, self.decoder.backward(dx, tape)[1]"),
        ("the memory as the words read it", "missing term", "AlignedTransformer", "return None, dmemory + self.decoder.backward(dx, tape)[1]", "self.decoder.backward(dx, tape)\n        return None, dmemory"),
        ("in one pass, the memory as the head compares it", "missing term", "AlignedTransformer causal", "[*dmemory, dread]", "dmemory"),
        ("in one pass, the memory of the last block", "missing term", "AlignedTransformer causal", "return None, sum(dmemory)", "return None, dmemory[-1]"),
        ("in one pass, what the head compares", "missing term", "AlignedTransformer causal", "dx, dmemory = dx + dcompared,", "dx, dmemory = dx,"),
        ("the keys of the head get nothing", "missing term", "AlignedTransformer", "dmemory = self.key.backward(dk, tape)", "dmemory = self.key.backward(0 * dk, tape)"),
        ("the gradient of another head", "index", "AlignedTransformer", "whole[:, :, self._columns(whole)] = own", "whole[:, :, -own.shape[2] :] = own"),
    ],
}  # fmt: skip
TABLE = {
    "recipes/alignment.py": [
        ("all steps have the same sentences", "(LEARNED, settings.seed, step)", "(LEARNED, settings.seed)"),
        ("links of the sentences in another order", "[sentence.links for sentence in sentences]", "[sentence.links for sentence in sentences[::-1]]"),
        ("wrong links are the right ones", "sorted(found - sentence.links", "sorted(found & sentence.links"),
    ],
    "models/aligned_transformer.py": [
        ("the mask of the second pass stays causal", "DotProduct(pattern=FULL,", "DotProduct(pattern=block.attention.f.core.pattern,"),
        ("the translation sees later words", "    block = copy.copy(block)\n    block.attention = copy.copy(block.attention)", "    pass"),
        ("the last block has the head", "max(0, config.n_decoder_layers - 2)", "config.n_decoder_layers - 1"),
        ("a norm is left out", 'if cross.norm_order == "pre" else', 'if cross.norm_order == "post" else'),
        ("in one pass, the scores of another block", "if n == self.last:\n                scores", "if n == 0:\n                scores"),
        ("weights of padding", "ops.softmax(scores, self.source_mask(source)[:, 0])", "ops.softmax(scores)"),
    ],
    "tasks/aligned_sequence_to_sequence.py": [
        ("a second pass without links", "if links is None or not weight:", "if links is None:"),
        ("the links' loss counts in full", "+ weight * loss", "+ loss"),
        ("N counts the words of a part", "count = self.count(source, target) if count is None else count", "count = self.count(source, target)"),
        ("the stop has a link", "(labels != self.config.pad_id) & (labels != self.config.stop_id)", "labels != self.config.pad_id"),
        ("a link belongs to the word that was read", "target[:, :-1]).argmax(axis=2), target[:, 1:]", "target[:, :-1]).argmax(axis=2), target[:, :-1]"),
        ("links are not shared", "return shares / np.maximum(1, shares.sum(axis=2, keepdims=True))", "return shares"),
    ],
    "metrics/alignment.py": [
        ("possible links do not count", "len(a & (s | p))", "len(a & s)"),
        ("sure links are not possible", "len(a & (s | p))", "len(a & p)"),
        ("counted from 0 in any case", "int(parts[1]) - first, int(parts[3]) - first", "int(parts[1]), int(parts[3])"),
        ("all links are sure", 'if parts[2] == "-":', "if True:"),
    ],
    "data/texts/dictionary.py": [
        ("B before A changes places, too", '== ["A", "B"]', '!= ["other", "other"]'),
        ("links as if nothing moved", "{(s, t) for t, (s, _) in enumerate(linked)}", "{(t, t) for t, (s, _) in enumerate(linked)}"),
    ],
}
