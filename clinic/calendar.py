"""Calendar arithmetic in an institution's time zone: years are calendar years, 29 February falls to 1 March."""

from datetime import date, datetime
from zoneinfo import ZoneInfo


def local_date(moment: datetime, time_zone: str) -> date:
    """The calendar day of an aware moment in an IANA zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def add_months(day: date, months: int) -> date:
    """`months` calendar months later (or earlier); a day the month does not have becomes the 1st of the next month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    try:
        return date(year, month + 1, day.day)
    except ValueError:
        year, month = divmod(index + 1, 12)
        return date(year, month + 1, 1)


def add_years(day: date, years: int) -> date:
    """`years` calendar years later (or earlier); 29 February becomes 1 March in a common year."""
    return add_months(day, 12 * years)


def age_on(birth: date, day: date) -> int:
    """Completed years (周岁): a birthday on 29 February is kept on 1 March in common years."""
    years = day.year - birth.year
    return years if add_years(birth, years) <= day else years - 1
