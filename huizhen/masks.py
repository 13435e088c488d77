"""How people are shown to those who need not know them fully."""

from datetime import date


def name(full: str) -> str:
    """张*明, 欧**云, 李*; "Zhang Ming" -> "Z*** M***"."""
    cleaned = full.strip()
    if not cleaned:
        return "*"
    if cleaned.isascii():
        return " ".join(f"{word[0]}***" for word in cleaned.split())
    if len(cleaned) == 1:
        return "*"
    return f"{cleaned[0]}*" if len(cleaned) == 2 else f"{cleaned[0]}{'*' * (len(cleaned) - 2)}{cleaned[-1]}"


def id_number(number: str) -> str:
    """110***********1234: first three, last four; short numbers are hidden whole."""
    return number[:3] + "*" * (len(number) - 7) + number[-4:] if len(number) >= 12 else "*" * len(number)


def phone(number: str) -> str:
    """138****0000."""
    return number[:3] + "*" * (len(number) - 7) + number[-4:] if len(number) >= 9 else "*" * len(number)


def age(born: date, today: date) -> int:
    """Whole years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
