//! Spans of time: how they are said, and how a date or timestamp is compared with them.

use bigquill_analysis::schema::DataType;

use super::dice::Dice;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    year: i64,
    month: i64,
    day: i64,
}

/// The day that is today in runs on made rows: those of one seed are the same on every day.
pub(super) const TODAY: Day = Day {
    year: 2026,
    month: 6,
    day: 17,
};

impl Day {
    /// The first and last day that questions name.
    pub(super) const NAMED: (Self, Self) = (first_of(2022, 1), last_of(2026, 12));

    /// Days since 1970-01-01, by the proleptic Gregorian calendar of 400 years.
    pub(super) fn number(self) -> i64 {
        // Years begin in March, so that a leap day is the last.
        let year = if self.month > 2 { self.year } else { self.year - 1 };
        let month = (self.month + 9) % 12;
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
    }

    /// The day of that number.
    pub(super) fn of_number(number: i64) -> Self {
        let days = number + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400;
        Self {
            year: if month > 2 { year } else { year + 1 },
            month,
            day,
        }
    }

    pub(super) fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// As the name of a date-sharded table ends.
    pub(super) fn suffix(self) -> String {
        self.iso().replace('-', "")
    }

    fn said(self, dice: &mut Dice) -> String {
        self.written(dice.below(5))
    }

    /// The day in one of the forms that people write.
    fn written(self, form: usize) -> String {
        let month = month_name(self.month);
        match form {
            0 => self.iso(),
            1 => format!("{month} {}, {}", self.day, self.year),
            _ => format!("{} {month} {}", self.day, self.year),
        }
    }
}

/// A span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Period {
    Year(i64),
    Month(i64, i64),
    Quarter(i64, i64),
    On(Day),
    Since(Day),
    Before(Day),
    Between(Day, Day),
    /// The last so many hours, days, weeks or months.
    Last(i64, &'static str),
    /// The next so many days.
    Next(i64),
    Today,
    Yesterday,
    ThisMonth,
    LastMonth,
    ThisYear,
    LastYear,
    Weekend,
    Weekday(usize),
    /// From this hour of the day on.
    FromHour(i64),
    /// A month of any year.
    EveryMonth(i64),
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn month_name(month: i64) -> &'static str {
    MONTHS[usize::try_from(month - 1).unwrap_or(0) % 12]
}

/// Years that questions are about.
fn recent_year(dice: &mut Dice) -> i64 {
    dice.weighted(&[(2022, 1.0), (2023, 1.5), (2024, 3.0), (2025, 4.0), (2026, 2.0)])
        .unwrap_or(2025)
}

fn recent_day(dice: &mut Dice) -> Day {
    let (year, month) = (recent_year(dice), dice.between(1, 12));
    let day = if dice.chance(0.4) {
        1
    } else {
        dice.between(1, days_of(year, month))
    };
    Day { year, month, day }
}

/// A day that stands for itself: of few, so that made rows have it.
pub(super) fn single_day(dice: &mut Dice) -> Day {
    let (year, month) = (recent_year(dice), dice.between(1, 12));
    let day = if dice.chance(0.4) {
        1
    } else {
        1 + (year * 5 + month * 11) % 28
    };
    Day { year, month, day }
}

impl Period {
    /// A span that somebody asks about; `fine` where the time of day is known.
    pub(super) fn draw(dice: &mut Dice, fine: bool) -> Self {
        let kinds = [
            (0, 5.0),
            (1, 6.0),
            (2, 1.5),
            (3, 2.0),
            (4, 3.0),
            (5, 1.5),
            (6, 1.5),
            (7, 4.0),
            (8, 2.0),
            (9, 2.0),
        ];
        match dice.weighted(&kinds).unwrap_or(0) {
            0 => Self::Year(recent_year(dice)),
            1 => Self::Month(recent_year(dice), dice.between(1, 12)),
            2 => Self::Quarter(recent_year(dice), dice.between(1, 4)),
            3 => Self::On(single_day(dice)),
            4 => Self::Since(recent_day(dice)),
            5 => Self::Before(recent_day(dice)),
            6 => {
                let (a, b) = (recent_day(dice), recent_day(dice));
                if a < b {
                    Self::Between(a, b)
                } else {
                    Self::Year(b.year)
                }
            }
            7 => match dice.below(6) {
                0 if fine => Self::Last(*dice.pick(&[24, 48]).unwrap_or(&24), "hour"),
                1 => Self::Last(*dice.pick(&[3, 6, 12]).unwrap_or(&6), "month"),
                2 => Self::Last(*dice.pick(&[2, 4]).unwrap_or(&2), "week"),
                _ => Self::Last(*dice.pick(&[7, 10, 14, 30, 60, 90]).unwrap_or(&30), "day"),
            },
            8 => match dice.below(6) {
                0 => Self::Today,
                1 => Self::Yesterday,
                2 => Self::ThisMonth,
                3 => Self::LastMonth,
                4 => Self::ThisYear,
                _ => Self::LastYear,
            },
            _ => match dice.below(4) {
                0 if fine => Self::FromHour(dice.between(17, 22)),
                1 => Self::Weekday(dice.below(7)),
                2 => Self::EveryMonth(dice.between(1, 12)),
                _ => Self::Weekend,
            },
        }
    }

    /// A span in the lives of people and things: no "last week".
    pub(super) fn past(dice: &mut Dice) -> Self {
        let year = dice.between(1955, 2004);
        let day = Day {
            year,
            month: 1,
            day: 1,
        };
        match dice.below(3) {
            0 => Self::Year(year),
            1 => Self::Before(day),
            _ => Self::Since(day),
        }
    }

    /// A span of what is still to come.
    pub(super) fn coming(dice: &mut Dice) -> Self {
        match dice.below(3) {
            0 => Self::ThisMonth,
            1 => Self::ThisYear,
            _ => Self::Next(*dice.pick(&[7, 14, 30, 60, 90]).unwrap_or(&30)),
        }
    }

    /// A day, as a literal of SQL and as it stands behind what is so on it: " on 1 May 2025".
    pub(super) fn day(dice: &mut Dice) -> (String, String) {
        let day = recent_day(dice);
        let said = if dice.chance(0.3) {
            format!(" as of {}", day.said(dice))
        } else {
            format!(" on {}", day.said(dice))
        };
        (format!("DATE '{}'", day.iso()), said)
    }

    /// A span that a date-sharded family is read for.
    pub(super) fn shards(dice: &mut Dice) -> Self {
        match dice.below(6) {
            0 => Self::On(single_day(dice)),
            1 => Self::Since(recent_day(dice)),
            2 => Self::Last(*dice.pick(&[7, 14, 30]).unwrap_or(&7), "day"),
            3 => Self::Yesterday,
            _ => Self::Month(recent_year(dice), dice.between(1, 12)),
        }
    }

    /// "in May 2025", as it stands behind what happened then.
    pub(super) fn said(&self, dice: &mut Dice) -> String {
        match self {
            Self::Year(year) => format!("in {year}"),
            Self::Month(year, month) => format!("in {} {year}", month_name(*month)),
            Self::Quarter(year, quarter) => match dice.below(3) {
                0 => format!("in Q{quarter} {year}"),
                1 => {
                    let ordinal =
                        ["first", "second", "third", "fourth"][usize::try_from(quarter - 1).unwrap_or(0) % 4];
                    format!("in the {ordinal} quarter of {year}")
                }
                _ => format!("in quarter {quarter} of {year}"),
            },
            Self::On(day) => format!("on {}", day.said(dice)),
            Self::Since(day) if day.month == 1 && day.day == 1 => format!("since {}", day.year),
            Self::Since(day) => format!(
                "{} {}",
                dice.word(&["since", "since", "on or after"]),
                day.said(dice)
            ),
            Self::Before(day) if day.month == 1 && day.day == 1 => format!("before {}", day.year),
            Self::Before(day) => format!("before {}", day.said(dice)),
            Self::Between(from, to) => {
                let form = dice.below(5);
                format!("between {} and {}", from.written(form), to.written(form))
            }
            Self::Last(count, unit) => {
                format!("in the {} {count} {unit}s", dice.word(&["last", "past", "last"]))
            }
            Self::Next(count) => format!("in the next {count} days"),
            Self::Today => "today".to_owned(),
            Self::Yesterday => "yesterday".to_owned(),
            Self::ThisMonth => dice.word(&["this month", "in the current month"]).to_owned(),
            Self::LastMonth => dice.word(&["last month", "in the previous month"]).to_owned(),
            Self::ThisYear => dice.word(&["this year", "in the current year"]).to_owned(),
            Self::LastYear => dice.word(&["last year", "in the previous year"]).to_owned(),
            Self::Weekend => dice
                .word(&["on weekends", "on a weekend", "on a Saturday or Sunday"])
                .to_owned(),
            Self::Weekday(day) if dice.chance(0.4) => format!("on a {}", WEEKDAYS[day % 7]),
            Self::Weekday(day) => format!("on {}s", WEEKDAYS[day % 7]),
            Self::FromHour(hour) => match dice.below(2) {
                0 => format!("after {} pm", hour - 12),
                _ => format!("after {hour}:00"),
            },
            Self::EveryMonth(month) => format!("in {} of any year", month_name(*month)),
        }
    }

    /// The comparison of an expression of this type with the span.
    pub(super) fn sql(&self, expression: &str, data_type: &DataType) -> String {
        let date = if *data_type == DataType::Date {
            expression.to_owned()
        } else {
            format!("DATE({expression})")
        };
        let now = |function: &str| match data_type {
            DataType::Date => format!("DATE_{function}(CURRENT_DATE(), "),
            DataType::DateTime => format!("DATETIME_{function}(CURRENT_DATETIME(), "),
            _ => format!("TIMESTAMP_{function}(CURRENT_TIMESTAMP(), "),
        };
        let span = |from: Day, to: Day| format!("{date} BETWEEN '{}' AND '{}'", from.iso(), to.iso());
        match self {
            Self::Year(year) => format!("EXTRACT(YEAR FROM {expression}) = {year}"),
            Self::Month(year, month) => span(first_of(*year, *month), last_of(*year, *month)),
            Self::Quarter(year, quarter) => {
                span(first_of(*year, quarter * 3 - 2), last_of(*year, quarter * 3))
            }
            Self::On(day) => format!("{date} = '{}'", day.iso()),
            Self::Since(day) => format!("{expression} >= '{}'", day.iso()),
            Self::Before(day) => format!("{expression} < '{}'", day.iso()),
            Self::Between(from, to) => span(*from, *to),
            Self::Last(count, "month") => {
                format!("{date} >= DATE_SUB(CURRENT_DATE(), INTERVAL {count} MONTH)")
            }
            Self::Last(count, "week") => format!("{date} >= DATE_SUB(CURRENT_DATE(), INTERVAL {count} WEEK)"),
            Self::Last(count, unit) => format!(
                "{expression} >= {}INTERVAL {count} {})",
                now("SUB"),
                unit.to_uppercase()
            ),
            Self::Next(count) => {
                format!("{date} BETWEEN CURRENT_DATE() AND DATE_ADD(CURRENT_DATE(), INTERVAL {count} DAY)")
            }
            Self::Today => format!("{date} = CURRENT_DATE()"),
            Self::Yesterday => format!("{date} = DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)"),
            Self::ThisMonth => format!("DATE_TRUNC({date}, MONTH) = DATE_TRUNC(CURRENT_DATE(), MONTH)"),
            Self::LastMonth => {
                format!(
                    "DATE_TRUNC({date}, MONTH) = DATE_SUB(DATE_TRUNC(CURRENT_DATE(), MONTH), INTERVAL 1 MONTH)"
                )
            }
            Self::ThisYear => format!("EXTRACT(YEAR FROM {expression}) = EXTRACT(YEAR FROM CURRENT_DATE())"),
            Self::LastYear => {
                format!("EXTRACT(YEAR FROM {expression}) = EXTRACT(YEAR FROM CURRENT_DATE()) - 1")
            }
            Self::Weekend => format!("EXTRACT(DAYOFWEEK FROM {expression}) IN (1, 7)"),
            Self::Weekday(day) => format!("EXTRACT(DAYOFWEEK FROM {expression}) = {}", day + 1),
            Self::FromHour(hour) => format!("EXTRACT(HOUR FROM {expression}) >= {hour}"),
            Self::EveryMonth(month) => format!("EXTRACT(MONTH FROM {expression}) = {month}"),
        }
    }

    /// The same on the suffix of a date-sharded family; none for spans that shards are not chosen by.
    pub(super) fn suffix_sql(&self) -> Option<String> {
        let format =
            |days: i64| format!("FORMAT_DATE('%Y%m%d', DATE_SUB(CURRENT_DATE(), INTERVAL {days} DAY))");
        let span = |from: Day, to: Day| {
            Some(format!(
                "_TABLE_SUFFIX BETWEEN '{}' AND '{}'",
                from.suffix(),
                to.suffix()
            ))
        };
        match self {
            Self::Year(year) => span(first_of(*year, 1), last_of(*year, 12)),
            Self::Month(year, month) => span(first_of(*year, *month), last_of(*year, *month)),
            Self::Quarter(year, quarter) => {
                span(first_of(*year, quarter * 3 - 2), last_of(*year, quarter * 3))
            }
            Self::On(day) => Some(format!("_TABLE_SUFFIX = '{}'", day.suffix())),
            Self::Since(day) => Some(format!("_TABLE_SUFFIX >= '{}'", day.suffix())),
            Self::Between(from, to) => span(*from, *to),
            Self::Last(count, "day") => Some(format!("_TABLE_SUFFIX >= {}", format(*count))),
            Self::Yesterday => Some(format!("_TABLE_SUFFIX = {}", format(1))),
            _ => None,
        }
    }

    /// Whether it lies in the past for certain.
    pub(super) fn is_past(&self) -> bool {
        matches!(
            self,
            Self::Last(..) | Self::Yesterday | Self::LastMonth | Self::LastYear
        )
    }

    /// Whether it repeats, so that it is no span that a partition is chosen by.
    pub(super) fn is_recurring(&self) -> bool {
        matches!(
            self,
            Self::Weekend | Self::Weekday(_) | Self::FromHour(_) | Self::EveryMonth(_)
        )
    }
}

const fn first_of(year: i64, month: i64) -> Day {
    Day { year, month, day: 1 }
}

const fn last_of(year: i64, month: i64) -> Day {
    Day {
        year,
        month,
        day: days_of(year, month),
    }
}
