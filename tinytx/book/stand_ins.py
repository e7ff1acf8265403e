"""A few lines in the form of each file that recipes learn from and cannot make: the book draws from them what it cannot read.

None of them is of the file itself.
"""

_GENERAL = """The harbour was built in the last century , and ships of all sizes still call there .
= The harbour =
Its lighthouse has been dark since the war . In winter the sea is rough , and few boats leave .
The town above it has two schools , a market and a small museum of the sea .
"""
_PRAISE = """a warm and clever film , full of small surprises
the story is told with wit , and its actors shine
one of the best endings of the year
a quiet film that stays with you for days
you leave the cinema with a smile
the music alone is worth the evening
funny , fast and never cruel
a first film of rare grace
the camera loves these people , and so do we
a fine cast and a finer script
it moves , and it means what it says
small in scale , and large at heart
"""
_BLAME = """a loud and empty film with nothing to say
the story falls apart after half an hour
even its actors look tired of it
two hours that feel like four
the jokes were old when the cinema was new
a script in search of a reason
dull , slow and far too long
the music shouts what the scenes cannot say
you will have forgotten it by the door
a waste of a fine cast
it means well , and it bores
nothing in it is new , and little of it is good
"""
_PAIRS = """Go.\tVa !
I see.\tJe vois.
It is late.\tIl est tard.
She reads.\tElle lit.
We are here.\tNous sommes ici.
Where is the sea?\tOù est la mer ?
He has two cats.\tIl a deux chats.
The train is late.\tLe train est en retard.
I do not know him.\tJe ne le connais pas.
They live near the sea.\tIls habitent près de la mer.
My sister reads a long letter.\tMa sœur lit une longue lettre.
Open the window, please.\tOuvre la fenêtre, s'il te plaît.
Nobody heard the bell.\tPersonne n'a entendu la cloche.
You work too much.\tVous travaillez trop.
This bread is good.\tCe pain est bon.
It rained all night.\tIl a plu toute la nuit.
My brother lost his key.\tMon frère a perdu sa clé.
Who wrote these words?\tQui a écrit ces mots ?
Winter is long here.\tL'hiver est long ici.
Children play in the garden.\tDes enfants jouent dans le jardin.
I forgot your name.\tJ'ai oublié ton nom.
The shop opens at nine.\tLe magasin ouvre à neuf heures.
We would like two cups of tea.\tNous voudrions deux tasses de thé.
"""
_ROWS = {  # digits as rows of five pixels
    0: "01110 10001 10001 10001 10001 10001 01110", 1: "00100 01100 00100 00100 00100 00100 01110",
    2: "01110 10001 00001 00110 01000 10000 11111", 3: "11110 00001 00001 01110 00001 00001 11110",
    4: "00010 00110 01010 10010 11111 00010 00010", 5: "11111 10000 11110 00001 00001 10001 01110",
    6: "00110 01000 10000 11110 10001 10001 01110", 7: "11111 00001 00010 00100 01000 01000 01000",
    8: "01110 10001 10001 01110 10001 10001 01110", 9: "01110 10001 10001 01111 00001 00010 01100",
}  # fmt: skip


def _digits(shade):
    """Return a line for each digit: 8 x 8 pixels, and the digit."""
    lines = []
    for digit, rows in _ROWS.items():
        pixels = ["0" * 8, *(f"0{row}00" for row in rows.split())]
        lines.append(",".join([*(str(int(pixel) * shade) for row in pixels for pixel in row), str(digit)]))
    return "\n".join(lines) + "\n"


STAND_INS = {  # by the name of the file, as `tinytx.recipes.DataFile` has it
    "optdigits.tra": _digits(16),
    "optdigits.tes": _digits(12),
    "tatoeba.eng-fra.tsv": _PAIRS,
    "rt-polarity.pos": _PRAISE,
    "rt-polarity.neg": _BLAME,
    "wikitext2.valid.txt": _GENERAL,
}
