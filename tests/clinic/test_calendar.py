from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from clinic.calendar import add_months, add_years, age_on, local_date


def test_leap_day_becomes_the_first_of_march() -> None:
    assert add_years(date(2024, 2, 29), 3) == date(2027, 3, 1)
    assert add_years(date(2024, 2, 29), 4) == date(2028, 2, 29)
    assert add_months(date(2026, 1, 31), 1) == date(2026, 3, 1)
    assert add_months(date(2026, 12, 31), -13) == date(2025, 12, 1)


def test_a_moment_belongs_to_the_day_of_the_zone() -> None:
    late = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    assert local_date(late, "Asia/Shanghai") == date(2026, 3, 2)
    assert local_date(late, "UTC") == date(2026, 3, 1)


def test_age_is_counted_in_completed_years() -> None:
    assert age_on(date(2008, 5, 6), date(2026, 5, 5)) == 17
    assert age_on(date(2008, 5, 6), date(2026, 5, 6)) == 18
    assert age_on(date(2008, 2, 29), date(2026, 2, 28)) == 17
    assert age_on(date(2008, 2, 29), date(2026, 3, 1)) == 18


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(0, 100))
def test_years_keep_order_and_birthdays(day: date, years: int) -> None:
    later = add_years(day, years)
    assert later.year == day.year + years
    assert age_on(day, later) == years
