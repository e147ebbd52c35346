//! The claims of a verified token, as `jwt_authn` leaves them in dynamic metadata.
//!
//! Envoy hands a value over without its type: text as it is, a number as the eight bytes of a
//! double, `true` and `false` as one byte, a list as pairs whose names are the elements, a map
//! as pairs, `null` and empty text not at all. Eight bytes can therefore be a number or text of
//! that length; both readings count as values of the claim, since of two readings a rule must
//! not overlook the one that it is about. Whoever could exploit that would have to be signed by
//! the issuer a text in the place of a number.

use meshwall_filter_host::pairs::Pairs;
use meshwall_filter_host::ports::Properties;
use meshwall_policy::attributes::Claim;

use crate::installed::Installed;

/// What the proxy says of the claims that a program looks at.
pub(crate) struct Claims<'a>(Vec<(&'a str, Vec<u8>)>);

impl<'a> Claims<'a> {
    /// Asks the proxy; it costs a call for each claim.
    pub(crate) fn read<P: Properties>(proxy: &P, installed: &'a Installed) -> Claims<'a> {
        let mut values = Vec::new();
        for (path, property) in &installed.claims {
            if let Ok(Some(value)) = proxy.get::<Vec<u8>>(property.property()) {
                each_text(value, |text| values.push((path.as_str(), text)));
            }
        }
        Claims(values)
    }

    /// As the engine wants them.
    pub(crate) fn values(&self) -> Vec<Claim<'_>> {
        let values = self.0.iter();
        values.map(|(path, value)| Claim { path, value }).collect()
    }
}

/// The texts of a value: one, none for a map, those of its elements for a list.
fn each_text(value: Vec<u8>, mut take: impl FnMut(Vec<u8>)) {
    if matches!(*value, [0 | 1]) {
        return scalar(value, take);
    }
    match Pairs::parse(&value) {
        Err(_) => scalar(value, take),
        Ok(pairs) if pairs.iter().all(|(_, value)| value.is_empty()) => {
            for (element, _) in pairs.iter() {
                // A list of lists has no texts.
                if matches!(element, [] | [0 | 1]) || Pairs::parse(element).is_err() {
                    scalar(element.to_vec(), &mut take);
                }
            }
        }
        Ok(_) => {}
    }
}

/// The readings of a value that is neither list nor map, in JSON's notation.
fn scalar(value: Vec<u8>, mut take: impl FnMut(Vec<u8>)) {
    match *value {
        [0] => return take(b"false".to_vec()),
        [1] => return take(b"true".to_vec()),
        _ => {}
    }
    let number = value.as_array().copied().map(f64::from_le_bytes);
    if let Some(number) = number.filter(|number| number.is_finite()) {
        take(number.to_string().into_bytes());
        // Whole numbers of everyday size have zeros in them, which text has not.
        if value.contains(&0) {
            return;
        }
    }
    take(value);
}

#[cfg(test)]
mod tests {
    use super::each_text;
    use meshwall_filter_host::pairs::encode;

    fn texts(value: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        each_text(value.to_vec(), |text| {
            texts.push(String::from_utf8_lossy(&text).into_owned());
        });
        texts
    }

    fn list(elements: &[&[u8]]) -> Vec<u8> {
        let pairs: Vec<_> = elements.iter().map(|element| (*element, b"")).collect();
        encode(&pairs).unwrap()
    }

    #[test]
    fn texts_numbers_and_truth() {
        for (value, expected) in [
            (&b"alice"[..], "alice"),
            (b"\xff", "\u{fffd}"),
            (&[1], "true"),
            (&[0], "false"),
            (&5_f64.to_le_bytes(), "5"),
            (&(-0.25_f64).to_le_bytes(), "-0.25"),
            (&1_763_923_200_f64.to_le_bytes(), "1763923200"),
        ] {
            assert_eq!(texts(value), [expected], "{value:?}");
        }
    }

    #[test]
    fn eight_bytes_that_can_be_both_are_both() {
        let read = texts(b"platform");
        assert_eq!(read.len(), 2);
        assert!(read[0].parse::<f64>().is_ok());
        assert_eq!(read[1], "platform");
    }

    #[test]
    fn a_list_is_its_elements() {
        assert_eq!(texts(&list(&[b"a", b"", b"b"])), ["a", "", "b"]);
        assert_eq!(
            texts(&list(&[&[1], &7_f64.to_le_bytes(), b"x"])),
            ["true", "7", "x"]
        );
        assert_eq!(texts(&0_u32.to_le_bytes()), [""; 0]);
        assert_eq!(texts(&list(&[&list(&[b"a"]), b"b"])), ["b"]);
    }

    #[test]
    fn a_map_is_no_text() {
        assert_eq!(texts(&encode(&[("a", "b"), ("c", "")]).unwrap()), [""; 0]);
    }
}
