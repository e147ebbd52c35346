//! Moments (RFC 3339, section 5.6), in whole seconds.

use super::super::reason::Form;
use super::{At, Fault, Findings};
use crate::spec::Timestamp;

/// Lowers `expires`.
pub(super) fn expires(
    policy: &At<'_>,
    text: Option<&str>,
    findings: &mut Findings,
) -> Option<Timestamp> {
    let text = text?;
    findings.take(&policy.field("expires"), text, moment(text))
}

fn moment(text: &str) -> Result<Timestamp, Fault> {
    parse(text).ok_or_else(|| {
        let fault = |why: &'static str| Fault::new(Form::Time, why);
        let shape: String = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        if shape == "0000-00-00T00:00:00Z" {
            return fault("there is no such day, or no such time of the day");
        }
        if let Some((time, rest)) = text.split_once('.') {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let whole = format!("{time}{zone}");
            if parse(&whole).is_some() {
                return fault("it has a fraction of a second").replace(whole);
            }
        }
        let fault = fault("times have the form `2026-12-31T00:00:00Z`");
        if parse(&format!("{text}T00:00:00Z")).is_some() {
            return fault.replace(format!("{text}T00:00:00Z"));
        }
        if parse(&format!("{text}Z")).is_some() {
            return fault.replace(format!("{text}Z"));
        }
        fault
    })
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', 't'])?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone_at)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3600 + minutes * 60)
        }
    };
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp(seconds - offset))
}

/// Numbers of fixed widths with a separator between them.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 in the Gregorian calendar.
///
/// Years begin in March here, so that the leap day is the last of a year, and the days before a
/// month follow from its number.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days_before_month = (153 * month + 2) / 5;
    365 * year + leap_days + days_before_month + day - 1 - DAYS_BEFORE_1970
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-12-31T00:00:00Z", 1_798_675_200),
            ("2026-12-31T00:00:00+02:00", 1_798_668_000),
            ("2026-12-31t00:00:00-00:30", 1_798_677_000),
            ("9999-12-31T23:59:59z", 253_402_300_799),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), Some(Timestamp(seconds)), "{text}");
        }
        for text in [
            "",
            "2026-12-31",
            "2026-12-31T00:00:00",
            "2026-12-31 00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.5Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+2:00",
            "2026-1-1T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00Z",
            "tomorrow",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = days_since_epoch(1890, 1, 1);
        for year in 1890..2110 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, days) in (1..).zip(months) {
                for day in 1..=days {
                    assert_eq!(days_since_epoch(year, month, day), expected);
                    expected += 1;
                }
            }
        }
    }
}
