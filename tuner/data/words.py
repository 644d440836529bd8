"""What people write into cells: words for missing values, truth values, months, currencies; unseen letters.

All of them are compared in lower case. What is added here changes how new studies read their columns; a model
that is kept has the words for missing in its encoding.
"""

from __future__ import annotations

INVISIBLE = "[\u00ad\u200b-\u200f\u2060\ufeff]"
"""Letters without width, which come along when a cell is copied."""

CATEGORY_MISSING = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "?",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""What is missing in a column of categories: pandas' words for it, spelled as here, and the question mark."""

MISSING = frozenset(
    {word.lower() for word in CATEGORY_MISSING}
    | {
        "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "??", "???", "x", "*", "/",
        "n.v.", "n. v.", "k.a.", "k. a.", "k.a", "n.a.", "n. a.", "n.a", "na.", "o.a.", "nv", "n/v", "n.b.",
        "none", "nil", "missing", "(missing)", "unknown", "unk", "unbekannt", "fehlt", "fehlend", "leer",
        "keine angabe", "keine", "not available", "not applicable", "not known", "no data", "nodata",
        "empty", "(empty)",
        "(blank)", "blank", "undefined", "tbd", "tba", "nat", "inconnu", "manquant", "s.o.",
        "n.c.", "nc", "nd",
        "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "#wert!", "#bezug!", "#zahl!", "#nv",
        "#n/v",
        "#####", "-nan", "+nan", "(null)", "[null]", "\\n", "<null>", "<none>",
    }
)  # fmt: skip
"""What is missing in a column of numbers, dates or truth values."""

TOTALS = frozenset(
    (
        "total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "gesamtergebnis",
        "insgesamt", "somme", "total general", "total général", "totale", "suma", "totaal", "итого",
    )
)  # fmt: skip
"""What a last row of totals is called."""

BOOLEANS = (
    ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"), ("j", "n"),
    ("oui", "non"), ("vrai", "faux"), ("o", "n"), ("si", "no"), ("s\u00ed", "no"), ("wahr", "falsch"),
    ("sim", "n\u00e3o"), ("tak", "nie"),
)  # fmt: skip
"""Words for true and for false."""

SHORT_BOOLEANS = {
    ("yes", "no"): ("y", "n"), ("true", "false"): ("t", "f"), ("ja", "nein"): ("j", "n"),
    ("oui", "non"): ("o", "n"),
}  # fmt: skip
"""Which of them stand beside each other in a column."""

CURRENCIES = (
    "eur", "euro", "euros", "usd", "chf", "gbp", "jpy", "cny", "rmb", "inr", "sek", "nok", "dkk", "isk",
    "pln",
    "czk", "huf", "aud", "cad", "nzd", "hkd", "sgd", "brl", "mxn", "zar", "try", "rub", "krw", "ils", "thb",
    "kr", "kr.", "k\u010d", "z\u0142", "ft", "fr", "fr.", "sfr", "sfr.", "rs", "rs.", "r$", "us$", "dm",
    "dollar", "dollars",
)  # fmt: skip
"""Currencies as words; signs are known by their kind."""

SCALES = {
    "%": 1e-2, "\uff05": 1e-2, "pct": 1e-2, "pct.": 1e-2, "percent": 1e-2, "per cent": 1e-2, "prozent": 1e-2,
    "\u2030": 1e-3,
    "k": 1e3, "tsd": 1e3, "tsd.": 1e3, "thousand": 1e3, "tausend": 1e3,
    "lakh": 1e5, "lakhs": 1e5, "lac": 1e5, "crore": 1e7, "crores": 1e7,
    "M": 1e6, "mio": 1e6, "mio.": 1e6, "mn": 1e6, "mln": 1e6, "mill": 1e6, "mill.": 1e6, "million": 1e6,
    "millions": 1e6, "millionen": 1e6,
    "bn": 1e9, "B": 1e9, "mrd": 1e9, "mrd.": 1e9, "billion": 1e9, "milliarden": 1e9,
}  # fmt: skip
"""Words behind a number that multiply it; of one letter only as spelled here, save k."""

FAMILIES = (
    {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6},
    {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3},
    {"in": 1.0, "ft": 12.0, "yd": 36.0, "mi": 63_360.0},
    {"oz": 1.0, "lb": 16.0, "lbs": 16.0},
    {"ml": 1e-3, "cl": 1e-2, "dl": 0.1, "l": 1.0},
    {"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "std": 3600.0, "d": 86_400.0},
    {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
    {"w": 1.0, "kw": 1e3, "mw": 1e6},
)
"""Units of one quantity, each in terms of another, so that 500 g and 1 kg may stand in one column."""

MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "jan january januar j\u00e4n j\u00e4nner janvier janv enero ene gennaio gen januari janeiro"
            " янв январь января",
            "feb february februar feber f\u00e9vrier fevrier f\u00e9vr fevr f\u00e9v fev febrero"
            " febbraio februari fevereiro"
            " фев февр февраль февраля",
            "mar march m\u00e4rz m\u00e4r maerz mrz mars marts marzo maart mrt mar\u00e7o мар март марта",
            "apr april avril avr abril abr aprile апр апрель апреля",
            "may mai mayo maggio mag mei maio maj май мая",
            "jun june juni juin junio giugno giu junho июн июнь июня",
            "jul july juli juillet juil julio luglio lug julho июл июль июля",
            "aug august ao\u00fbt aout agosto ago augustus augusti авг август августа",
            "sep sept september septembre septiembre settembre set setembro сен сент сентябрь сентября",
            "oct october okt oktober octobre octubre ottobre ott outubro out окт октябрь октября",
            "nov november novembre noviembre novembro ноя нояб ноябрь ноября",
            "dec december dez dezember d\u00e9cembre decembre d\u00e9c diciembre dic dicembre dezembro"
            " desember des"
            " дек декабрь декабря",
        ),
        1,
    )
    for name in names.split()
}
"""Names of months in English, German and their neighbours."""

IDS = frozenset(
    (
        "id", "ids", "index", "idx", "nr", "no", "no.", "rowid", "row_id", "rownum",
        "rownumber", "uid", "uuid", "guid", "#", "lfd", "lfdnr", "nummer", "zeile", "pk",
    )
)  # fmt: skip
"""Names of columns that number the rows; so do names that end in `_id`."""

CODES = {
    "zip", "zipcode", "plz", "postcode", "postal", "postleitzahl", "phone", "tel", "telefon", "telephone",
    "mobile", "fax", "isbn", "ean", "iban", "ssn",
}  # fmt: skip
"""Words in the names of columns whose numbers are codes."""

SENTINELS = tuple(sign * float("9" * digits) for digits in range(1, 11) for sign in (-1, 1))
"""Numbers that often stand for a missing value."""
