//! When rows happen: around the days and spans that questions name.

use super::super::dice::Dice;
use super::super::periods::{Day, TODAY, single_day};

const DAY: i64 = 24 * 60 * 60;
/// Days before today in which most of what is recent lies.
const RECENT: f64 = 400.0;
/// Seconds between two times of a row: the least and the most.
const APART: (f64, f64) = (30.0, 60.0 * 86_400.0);

/// The time that it is in a row; the times of a row follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Seconds since 1970.
    now: i64,
}

impl Clock {
    /// When a row happens.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let day = match dice.below(10) {
            0..4 => {
                let (first, last) = Day::NAMED;
                dice.between(first.number(), last.number())
            }
            4..7 => TODAY.number() - days(RECENT * dice.unit().powi(3)),
            _ => single_day(dice).number(),
        };
        Self::on(day, dice)
    }

    /// A day in the lives of people and things.
    pub(super) fn past(dice: &mut Dice) -> Self {
        let first = Day::of_number(TODAY.number() - 71 * 365).number();
        Self::on(first + dice.between(0, 52 * 365), dice)
    }

    /// A day that is soon, or was a short time ago.
    pub(super) fn soon(dice: &mut Dice) -> Self {
        Self::on(TODAY.number() + dice.between(-60, 120), dice)
    }

    fn on(day: i64, dice: &mut Dice) -> Self {
        Self {
            now: day * DAY + dice.between(0, DAY - 1),
        }
    }

    /// Lets some time pass.
    pub(super) fn advance(&mut self, dice: &mut Dice) {
        let (least, most) = APART;
        let apart = least * (most / least).powf(dice.unit());
        // What is expected for one day now and then happens before it.
        let sign = if dice.chance(0.08) { -1 } else { 1 };
        self.now += sign * days(apart);
    }

    pub(super) fn date(self) -> String {
        Day::of_number(self.now.div_euclid(DAY)).iso()
    }

    /// Seconds since 1970.
    pub(super) fn seconds(self) -> i64 {
        self.now
    }

    pub(super) fn suffix(self) -> String {
        Day::of_number(self.now.div_euclid(DAY)).suffix()
    }

    pub(super) fn time(self) -> String {
        let second = self.now.rem_euclid(DAY);
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

/// What asks for the present time in a query, and the time that it is where the rows are.
pub(super) fn replaced() -> Vec<(String, String)> {
    let day = TODAY.iso();
    vec![
        ("CURRENT_DATE()".to_owned(), format!("DATE '{day}'")),
        (
            "CURRENT_DATETIME()".to_owned(),
            format!("DATETIME '{day} 12:00:00'"),
        ),
        (
            "CURRENT_TIMESTAMP()".to_owned(),
            format!("TIMESTAMP '{day} 12:00:00+00'"),
        ),
    ]
}

#[expect(clippy::cast_possible_truncation, reason = "days and seconds of a few years")]
fn days(number: f64) -> i64 {
    number as i64
}
