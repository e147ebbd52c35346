//! Writes a normal path octet by octet, and refuses what has none.

use super::Fault;
use crate::text::percent;

/// A normal path in the making: segments and slashes in their order.
pub(super) struct Segments<'o> {
    out: &'o mut Vec<u8>,
    /// Where the present segment begins in `out`.
    start: usize,
    utf8: Utf8,
    double: DoubleEscape,
}

impl<'o> Segments<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Segments<'o> {
        Segments {
            out,
            start: 0,
            utf8: Utf8::default(),
            double: DoubleEscape::default(),
        }
    }

    /// Takes a slash that ends the present segment.
    pub(super) fn slash(&mut self) -> Result<(), Fault> {
        self.utf8.push(b'/')?;
        self.double.push(b'/')?;
        if self.out.last() == Some(&b'/') {
            return if self.out.len() == 1 {
                Err(Fault::LeadingSlashes)
            } else {
                Ok(())
            };
        }
        self.end_segment()?;
        self.out.push(b'/');
        self.start = self.out.len();
        Ok(())
    }

    /// Takes a decoded octet of the present segment, anything but a slash.
    pub(super) fn octet(&mut self, octet: u8) -> Result<(), Fault> {
        match octet {
            0 => return Err(Fault::Nul),
            0x01..=0x1F | 0x7F => return Err(Fault::Control),
            b'\\' => return Err(Fault::Backslash),
            b';' => return Err(Fault::Parameters),
            _ => {}
        }
        self.utf8.push(octet)?;
        self.double.push(octet)?;
        if is_plain(octet) {
            self.out.push(octet);
        } else {
            percent::encode(octet, self.out);
        }
        Ok(())
    }

    /// Ends the path.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.utf8.finish()?;
        self.end_segment()
    }

    fn end_segment(&self) -> Result<(), Fault> {
        match self.out.get(self.start..) {
            Some(b"." | b"..") => Err(Fault::DotSegment),
            _ => Ok(()),
        }
    }
}

/// Whether an octet stands for itself in a segment: `pchar` of RFC 3986 section 3.3, apart from
/// `;`, which has no place in a normal path.
pub(super) fn is_plain(octet: u8) -> bool {
    matches!(
        octet,
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' // unreserved
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' // sub-delims
            | b':' | b'@'
    )
}

/// Checks that octets are UTF-8 (RFC 3629 section 4): no overlong forms, no surrogates, nothing
/// above U+10FFFF, nothing cut short.
#[derive(Default)]
struct Utf8 {
    /// Octets that the present character still needs.
    missing: u8,
    /// Bounds of the next one.
    low: u8,
    high: u8,
}

impl Utf8 {
    fn push(&mut self, octet: u8) -> Result<(), Fault> {
        let expect = |missing, low, high| Ok(Utf8 { missing, low, high });
        *self = if let Some(missing) = self.missing.checked_sub(1) {
            if !(self.low..=self.high).contains(&octet) {
                return Err(Fault::NotUtf8);
            }
            expect(missing, 0x80, 0xBF)
        } else {
            match octet {
                0x00..=0x7F => return Ok(()),
                0xC2..=0xDF => expect(1, 0x80, 0xBF),
                0xE0 => expect(2, 0xA0, 0xBF),
                0xED => expect(2, 0x80, 0x9F),
                0xE1..=0xEF => expect(2, 0x80, 0xBF),
                0xF0 => expect(3, 0x90, 0xBF),
                0xF1..=0xF3 => expect(3, 0x80, 0xBF),
                0xF4 => expect(3, 0x80, 0x8F),
                0x80..=0xC1 | 0xF5..=0xFF => Err(Fault::NotUtf8),
            }
        }?;
        Ok(())
    }

    fn finish(&self) -> Result<(), Fault> {
        if self.missing == 0 {
            Ok(())
        } else {
            Err(Fault::NotUtf8)
        }
    }
}

/// Finds a decoded `%` with two hexadecimal digits behind it: an escape for whoever decodes twice.
#[derive(Default)]
enum DoubleEscape {
    #[default]
    Outside,
    Percent,
    PercentAndDigit,
}

impl DoubleEscape {
    fn push(&mut self, octet: u8) -> Result<(), Fault> {
        *self = match (&self, octet) {
            (_, b'%') => DoubleEscape::Percent,
            (DoubleEscape::Outside, _) => DoubleEscape::Outside,
            (_, octet) if !octet.is_ascii_hexdigit() => DoubleEscape::Outside,
            (DoubleEscape::Percent, _) => DoubleEscape::PercentAndDigit,
            (DoubleEscape::PercentAndDigit, _) => return Err(Fault::DoubleEscape),
        };
        Ok(())
    }
}
