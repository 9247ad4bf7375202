"""How many segments a text is billed and sent as: GSM-7 where all its characters are in it, else UCS-2. Pure.

Source: 3GPP TS 23.038, the default alphabet and its extension table.
"""

from typing import Final

_GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà\x1bÆæßÉ"
)
_GSM_7_TWICE: Final = frozenset("^{}\\[~]|€")
_GSM_7_ALL: Final = _GSM_7 | _GSM_7_TWICE


def segments(body: str) -> int:
    """In how many parts a carrier sends it: GSM-7 160 or 153 a part, else UCS-2 70 or 67 a part.

    Source: 3GPP TS 23.038.
    """
    if _GSM_7_ALL.issuperset(body):
        length, one, many = len(body) + sum(map(body.count, _GSM_7_TWICE)), 160, 153
    else:
        length, one, many = len(body.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= one else -(-length // many)


def outside_gsm_7(body: str) -> str:
    """The characters that make a carrier send all of a text in the longer alphabet."""
    return "".join(dict.fromkeys(c for c in body if c not in _GSM_7_ALL))
