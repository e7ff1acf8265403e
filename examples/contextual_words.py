"""Words in their sentences: features of a language model in both directions (ELMo) and of a translator (CoVe), for tags.

    python examples/contextual_words.py
    python examples/contextual_words.py --pairs tatoeba.eng-fra.tsv

Forty words of a generated language are nouns or verbs, by what stands around them ("the walk will help", "they walk"). Linear
maps (`tinytx.training.Probe`) learn from 500 sentences, and are judged on 600 others: of all words their tags, which are
also counted for the ambiguous words alone; and of the ambiguous words "senses", the word and its tag together: the noun
"walk". They read frozen vectors, none of which saw a tag in training:

word2vec     one vector for each word, whatever its sentence: skip-gram (Mikolov et al. 2013)
ELMo         the layers of two recurrent stacks that said the next and the previous word (Peters et al. 2018): the token's
             vector, each layer above it, and the mix of all, with shares that are learned with the map
CoVe         word2vec's vector, and beside it the output of an encoder of both directions that learned to translate, with
             word2vec's vectors as its frozen table (McCann et al. 2017)

The translator's second language is made up: a word's ending tells what it is, as in Esperanto, and an adjective follows its
noun ("the old walk" is "the walko olda"). So whoever translates must tell a noun from a verb. With --pairs it learns from
real pairs of texts, the first of which is English. ELMo takes 800 steps of 32 sentences, the translator 1,200:

vectors              width       tags   ambiguous   senses
word2vec                32      0.878       0.681    0.665
ELMo, token             32      0.872       0.671    0.683
ELMo, layer1            32      0.992       0.980    0.944
ELMo, layer2            32      0.998       0.997    0.920
ELMo, mix               32      0.998       0.997    0.988
word2vec and CoVe       96      0.942       0.859    0.820

With the pairs of tatoeba.eng-fra.tsv:

word2vec                32      0.884       0.694    0.679
word2vec and CoVe       96      0.943       0.849    0.834

A word by itself has its more frequent tag, no more. The last layer tells tags best, which are what the next word depends on;
but it forgets which word of a kind it was, and the first layer remembers it better. The mix takes the word from the token's
layer and its use from the last one: shares of 0.46, 0.09 and 0.45.
"""

import argparse

import numpy as np

from tinytx.data import BERT_SPECIAL, WordTokenizer, framed, read_pairs
from tinytx.data.batches.rows import pad
from tinytx.models import RecurrentSeq2Seq, RecurrentSeq2SeqConfig, Word2Vec, Word2VecConfig
from tinytx.progress import tracked
from tinytx.recipes import load_recipe
from tinytx.recipes.elmo import layers_of, probed
from tinytx.recipes.train import trained
from tinytx.tasks import NearbyWords, SequenceToSequence
from tinytx.training import Adam, Trainer, WarmupCosine, WordExamples, descend_words

WIDTH, STEPS, BATCH, RATE, LONGEST = 32, 800, 32, 8e-3, 20
ENDINGS = {"NOUN": "o", "VERB": "as", "ADJ": "a", "ADV": "e"}


def translated(sentence):
    """Return a sentence of (word, tag) in a language whose endings tell tags, and whose adjectives follow their nouns.

    >>> translated([("the", "DET"), ("old", "ADJ"), ("walk", "NOUN")])
    ['the', 'walko', 'olda']
    """
    words = [word + ENDINGS.get(tag, "") for word, tag in sentence]
    for i, (_, tag) in enumerate(sentence[:-1]):
        if tag == "ADJ" and sentence[i + 1][1] == "NOUN":
            words[i : i + 2] = words[i + 1], words[i]
    return words


def word_vectors(texts, tokenizer, epochs, seed):
    """Return word2vec's table (V, WIDTH), learned from texts, in numbers of the size of a new table's."""
    ids = np.concatenate([[*tokenizer.encode(text), -1] for text in texts])
    task = NearbyWords.around(Word2Vec, Word2VecConfig(tokenizer.vocab_size, WIDTH), rng=np.random.default_rng(seed))
    descend_words(task, WordExamples(ids, tokenizer.vocab_size, seed=seed), epochs=epochs)
    table = task.body.token.weight.data
    return table / table.std()


def translator(pairs, tokenizer, table, steps, seed, threads):
    """Return the body of an encoder-decoder that has learned pairs of texts; its table of the source is frozen."""
    target = WordTokenizer.from_texts([text for _, text in pairs], 10_000, special=BERT_SPECIAL, lower=True)
    frame = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id}
    rows = [[framed(side.encode(text), **frame)[0] for side, text in zip((tokenizer, target), pair)] for pair in pairs]
    rows = [pair for pair in rows if max(map(len, pair)) <= LONGEST]
    ids = {"pad_id": target.pad_id, "start_id": target.cls_id, "stop_id": target.sep_id}
    shape = {"cell": "lstm", "d_embedding": WIDTH, "d_model": 2 * WIDTH, "n_layers": 2, "attention": "general", "dropout": 0.1}
    config, rng = RecurrentSeq2SeqConfig(tokenizer.vocab_size, target.vocab_size, **shape, **ids), np.random.default_rng(seed)
    task = SequenceToSequence.around(RecurrentSeq2Seq, config, rng=rng, settings={"label_smoothing": 0.0})
    source = task.body.encoder.token.weight
    source.data[...], source.frozen = table, True
    trainer = Trainer(task, Adam(task, WarmupCosine(RATE, min(50, steps - 1), steps)), clip=1.0, threads=threads, seed=seed)
    for step in tracked(range(steps), "step"):
        chosen = np.random.default_rng((seed, step)).integers(0, len(rows), BATCH)
        trainer.step(*(pad([rows[i][side] for i in chosen], target.pad_id) for side in range(2)))
    return task.body


def cove(body, ids):
    """Return the words' vectors and the encoder's outputs side by side (B, T, 1, 3 WIDTH)."""
    annotations = body.encode(ids)[:, body.decoder.layers.n_states :]
    return np.concatenate([body.encoder.token(ids), annotations], axis=-1)[:, :, None]


def print_row(name, read, kept):
    """Print what linear maps of one kind of vectors say; ``read`` makes them (B, T, N, D) from ids. Return the map of senses."""
    said, probe = probed(read, kept)
    width = read(kept.held_out[0][0]).shape[-1]
    print("{:20}{:6}{:11.3f}{:12.3f}{:9.3f}".format(name, width, *(said[what] for what in ("tags", "ambiguous", "senses"))), flush=True)
    return probe


def main():
    """Train the three models, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", metavar="FILE", help="what the translator learns: an English text, a tab, its translation")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of ELMo; the translator takes half as many more (default {STEPS})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="as for train")
    parser.add_argument("--quick", action="store_true", help="3 steps, 100 sentences: shows that it runs, and no more")
    arguments = parser.parse_args()
    seed, threads, steps = arguments.seed, arguments.threads, 3 if arguments.quick else arguments.steps
    small = {"sentences": 100, "labelled": 50, "warmup": 1, "probe_steps": 9} if arguments.quick else {}
    real = [*read_pairs(arguments.pairs).pairs] if arguments.pairs else []
    trainer, prepared = trained(load_recipe("elmo"), {"steps": steps, "seed": seed, "d_model": WIDTH, "threads": threads} | small)
    kept, body = prepared.kept, trainer.model.body
    texts = [" ".join(word for word, _ in sentence) for sentence in kept.sentences]
    pairs = real or [(text, " ".join(translated(sentence))) for text, sentence in zip(texts, kept.sentences)]
    tokenizer, number = kept.tokenizer, np.arange(kept.tokenizer.vocab_size)  # the number of each of ELMo's words
    if real:
        tokenizer = WordTokenizer.from_texts([text for text, _ in real] + texts, 10_000, special=BERT_SPECIAL, lower=True)
        number = np.concatenate([number[: len(BERT_SPECIAL)], tokenizer.encode(" ".join(kept.tokenizer.words))])
    table = word_vectors(texts + [text for text, _ in real], tokenizer, 1 if arguments.quick else 5, seed)
    encoder = translator(pairs, tokenizer, table, steps * 3 // 2, seed, threads)
    print("vectors              width       tags   ambiguous   senses")
    print_row("word2vec", lambda ids: table[number[ids]][:, :, None], kept)
    for name, read in layers_of(body, kept).items():
        probe = print_row(f"ELMo, {name}", read, kept)
    print_row("word2vec and CoVe", lambda ids: cove(encoder, number[ids]), kept)
    print(f"Shares of ELMo's layers in the mix for senses: {', '.join(f'{share:.2f}' for share in probe.shares)}")


if __name__ == "__main__":
    main()
