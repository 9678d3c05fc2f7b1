//! The 80-bit floats of INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis adds with C's `long double`, which on x86-64 is the x87 format, and clients see its 64 bits of
//! precision: `0.1` plus `0.2` prints `0.3`. So the arithmetic is done in that format, in software, on every
//! machine.
//!
//! ```text
//! bit 79 sign | 78..64 exponent, bias 16383 | 63..0 significand with its leading 1 written out
//! value = significand * 2^(exponent - 16383 - 63)
//! ```
//!
//! Printing is `%.17Lf` with trailing zeros cut: the exact value rounded half to even at 17 decimal places,
//! never an exponent, up to 4933 digits.
//!
//! Cost: 0.2 us to read and 0.1 us to print usual numbers; the longest texts take 70 us, the largest numbers
//! 350. Not here: the error texts, and the rule that a result must be finite (the command asks
//! [`LongDouble::is_finite`]).

use super::{float, number};
use rustc_apfloat::ieee::{self, X87DoubleExtended};
use rustc_apfloat::{Float, FloatConvert, Round};

/// Longer texts are not read as floats (Redis copies them to a buffer of 5 KiB with a final NUL).
const TEXT_LEN_MAX: usize = 5 * 1024 - 1;

/// Decimal places printed.
const PLACES: usize = 17;

/// 10^PLACES.
const SCALE: u128 = 10u128.pow(PLACES as u32);

/// An x87 extended double. Equality is numeric: the zeros are equal, a NaN equals nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Reads a number in the grammar of [`float::parse`], correctly rounded to 64 bits.
    ///
    /// `None` ("not a valid float") for anything else, for finite texts out of range, and for texts of 5120
    /// bytes or more. Infinities are read; NaN is not.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_LEN_MAX {
            return None;
        }
        let syntax = float::classify(text)?;
        float::parse_soft(str::from_utf8(text).ok()?, syntax).map(LongDouble)
    }

    /// The number equal to `value`.
    pub fn from_i64(value: i64) -> LongDouble {
        LongDouble(X87DoubleExtended::from_i128(value.into()).value)
    }

    /// The number equal to `value`.
    pub fn from_f64(value: f64) -> LongDouble {
        let exact = ieee::Double::from_bits(value.to_bits().into()).convert(&mut false);
        LongDouble(exact.value)
    }

    /// Is it an infinity?
    pub fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }

    /// Is it the NaN that adding opposite infinities gives?
    pub fn is_nan(self) -> bool {
        self.0.is_nan()
    }

    /// Neither infinite nor NaN.
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }

    /// So many seconds as milliseconds, rounded up; what is below 64 bits becomes the least number, what is above (or
    /// NaN) is `None`.
    pub fn seconds_to_ms(self) -> Option<i64> {
        const BITS: usize = 64;
        let ms = self.0 * X87DoubleExtended::from_i128(1000).value;
        let whole = ms.value.round_to_integral(Round::TowardPositive).value;
        if whole.is_nan() || whole > X87DoubleExtended::from_i128(i64::MAX.into()).value {
            return None;
        }
        // What is too small for 64 bits comes out as the least of them.
        Some(whole.to_i128_r(BITS, Round::TowardZero, &mut false).value as i64)
    }

    /// Appends the number as Redis stores and replies it: `3`, `0.1`, `-0.00000000000000001`, `inf`, `-inf`,
    /// `nan`.
    pub fn write_human(self, out: &mut Vec<u8>) {
        if self.is_nan() {
            return out.extend_from_slice(b"nan");
        }
        let start = out.len();
        match self.is_infinite() {
            true => out.extend_from_slice(b"inf"),
            false => self.write_magnitude(out),
        }
        // What rounds to zero has no sign.
        if self.0.is_negative() && out[start..] != *b"0" {
            out.insert(start, b'-');
        }
    }

    fn write_magnitude(self, out: &mut Vec<u8>) {
        let (significand, exponent) = self.parts();
        match u32::try_from(exponent) {
            Ok(shift) => write_shifted_left(significand, shift, out),
            Err(_) => write_shifted_right(significand, exponent.unsigned_abs(), out),
        }
    }

    /// The magnitude as `significand * 2^exponent`; finite numbers only.
    fn parts(self) -> (u64, i32) {
        let bits = self.0.to_bits();
        let biased = (bits >> 64) as i32 & 0x7fff;
        // Subnormals share the exponent of the smallest normal numbers.
        (bits as u64, biased.max(1) - 16383 - 63)
    }
}

impl std::ops::Add for LongDouble {
    type Output = LongDouble;

    /// The sum rounded half to even. Overflow gives an infinity; opposite infinities give NaN.
    fn add(self, other: LongDouble) -> LongDouble {
        LongDouble((self.0 + other.0).value)
    }
}

/// Appends `significand / 2^shift`, rounded half to even to [`PLACES`] places, without trailing zeros.
fn write_shifted_right(significand: u64, shift: u32, out: &mut Vec<u8>) {
    // At most 64 + 57 bits, so the product is exact.
    let scaled = round_shift(u128::from(significand) * SCALE, shift);
    number::write_u64((scaled / SCALE) as u64, out);
    let fraction = (scaled % SCALE) as u64;
    if fraction != 0 {
        write_fraction(fraction, out);
    }
}

/// Appends a point and [`PLACES`] digits, without trailing zeros.
fn write_fraction(mut fraction: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; PLACES];
    for digit in digits.iter_mut().rev() {
        *digit += (fraction % 10) as u8;
        fraction /= 10;
    }
    let end = digits.iter().rposition(|&digit| digit != b'0');
    out.push(b'.');
    out.extend_from_slice(&digits[..end.map_or(0, |last| last + 1)]);
}

/// `value / 2^shift` rounded half to even, for values below 2^127.
fn round_shift(value: u128, shift: u32) -> u128 {
    if shift >= 128 {
        return 0;
    }
    let quotient = value >> shift;
    let remainder = value - (quotient << shift);
    let half = (1u128 << shift) >> 1;
    let up = remainder > half || (remainder == half && half != 0 && quotient % 2 == 1);
    quotient + u128::from(up)
}

/// Appends the integer `significand * 2^shift`.
fn write_shifted_left(significand: u64, shift: u32, out: &mut Vec<u8>) {
    match shift {
        0..=64 => out.extend_from_slice(
            itoa::Buffer::new()
                .format(u128::from(significand) << shift)
                .as_bytes(),
        ),
        _ => write_limbs(&shifted_limbs(significand, shift), out),
    }
}

/// Base of the limbs: nine decimal digits each.
const LIMB: u64 = 1_000_000_000;

/// `significand * 2^shift` in base 10^9, least limb first. O(shift^2): half a million steps for the largest
/// float.
fn shifted_limbs(significand: u64, shift: u32) -> Vec<u32> {
    let mut limbs = Vec::with_capacity(shift as usize / 29 + 4);
    carry_into(&mut limbs, significand);
    let mut left = shift;
    while left > 0 {
        let step = left.min(32);
        shift_limbs(&mut limbs, step);
        left -= step;
    }
    limbs
}

fn shift_limbs(limbs: &mut Vec<u32>, step: u32) {
    let mut carry = 0;
    for limb in &mut *limbs {
        let sum = (u64::from(*limb) << step) + carry;
        *limb = (sum % LIMB) as u32;
        carry = sum / LIMB;
    }
    carry_into(limbs, carry);
}

/// Appends `carry` as new highest limbs.
fn carry_into(limbs: &mut Vec<u32>, mut carry: u64) {
    while carry > 0 {
        limbs.push((carry % LIMB) as u32);
        carry /= LIMB;
    }
}

fn write_limbs(limbs: &[u32], out: &mut Vec<u8>) {
    let [rest @ .., highest] = limbs else {
        return out.push(b'0');
    };
    number::write_u64((*highest).into(), out);
    for limb in rest.iter().rev() {
        out.extend_from_slice(format!("{limb:09}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> LongDouble {
        LongDouble::parse(text.as_bytes()).expect("a valid number")
    }

    fn printed(value: LongDouble) -> String {
        let mut out = Vec::new();
        value.write_human(&mut out);
        String::from_utf8(out).expect("digits and letters")
    }

    fn sum(a: &str, b: &str) -> String {
        printed(read(a) + read(b))
    }

    #[test]
    fn a_double_is_taken_as_it_is() {
        let text = |value| printed(LongDouble::from_f64(value));
        assert_eq!(text(13.361_389_338_970_184), "13.36138933897018433");
        assert_eq!(text(-0.1), "-0.10000000000000001");
        assert_eq!(
            (text(0.0), text(-0.0), text(180.0)),
            ("0".into(), "0".into(), "180".into())
        );
        assert_eq!((text(1e-300), text(f64::INFINITY)), ("0".into(), "inf".into()));
    }

    /// What a server answered to SET and INCRBYFLOAT, for random numbers.
    const SUMS: [(&str, &str, &str); 40] = [
        ("832646313851652640033", "8070.368", "832646313851652648128"),
        ("605", "+1.970459978e-6", "605.00000197045997802"),
        (
            "86408382890044068172e-1197",
            "-52238.6783028844",
            "-52238.67830288440000075",
        ),
        ("47474719251588", "+2.164830e28", "21648300000000047474630721536"),
        ("+8.126401146e7", "+7.91522113e-25", "81264011.45999999999912689"),
        ("3.202757833e18", "-7490592472394911706", "-4287834639394911706"),
        ("+0.490315845e-16", "41014.3050", "41014.30499999999999972"),
        ("+8.929545186366645091", "+8.907920473e-23", "8.92954518636664509"),
        (
            "1865.870966256032033490",
            "653373311",
            "653375176.8709662560140714",
        ),
        ("393502933507247", "0.641793071e20", "64179700602933507248"),
        (
            "68035.59629875856237532",
            "-17171666409560017",
            "-17171666409491981.4033203125",
        ),
        (
            "648.818523270799385844",
            "-9332604295196901",
            "-9332604295196252.181640625",
        ),
        ("3.23924557353223502", "-45562055", "-45562051.76075442646833835"),
        (
            "+1.521037973e27",
            "74.85488590880",
            "1521037973000000000046923776",
        ),
        (
            "+0xcce2e77b65.1b57f18899b75528edp28",
            "-71811.533",
            "236217872730194994848",
        ),
        ("9.668223021e4", "-40740789", "-40644106.76978999999846565"),
        (
            "36968951955207256",
            "+996.57311321862",
            "36968951955208252.57421875",
        ),
        (
            "35792.6984729365174508",
            "463.709845290658804",
            "36256.40831822717625599",
        ),
        (
            "30958456300755670312e-3393",
            "4.219127261e25",
            "42191272609999999998099456",
        ),
        ("+909111181902", "-84548113648579221134e-706", "909111181902"),
        ("-8.230589631e-8", "5.274063678e-30", "-0.00000008230589631"),
        ("52022.23128", "7.79029174e-17", "52022.23128000000000171"),
        ("13545", "-141.73897771241903", "13403.26102228758097024"),
        (
            "+2554.858184295",
            "9879762220914",
            "9879762223468.85818386077880859",
        ),
        ("+5027735070815", "91.61775", "5027735070906.61775016784667969"),
        ("-38", "15865.36740178410804057", "15827.36740178410804081"),
        ("-7.03753957", "+5497065492", "5497065484.96246042987331748"),
        ("9.213911919e27", "+4449041", "9213911918999999999993970688"),
        (
            "8422567253479334",
            "73831.723256955",
            "8422567253553165.72314453125",
        ),
        (
            "-4.73174492e21",
            "33240.470936704450911",
            "-4731744919999999966720",
        ),
        ("5.303054173e-17", "4.461374545e-25", "0.00000000000000005"),
        (
            "0xa3b732875.fd2e52aba7f3fdd87p-29",
            "69.11442685",
            "150.97223422919544444",
        ),
        ("-326.6871002271940349", "-3", "-329.68710022719403491"),
        ("+5377486769865615", "-9.619967696e18", "-9614590209230134385"),
        (
            "9286.9954426623",
            "451.64702451944741437",
            "9738.64246718174741435",
        ),
        ("+0.8449522", "3.79490893108938435", "4.63986113108938435"),
        ("+60", "+96294508508227141", "96294508508227201"),
        (
            "766.917758",
            "-0x81b26a67fc.35c2484d0e940241fp-18",
            "-2124187.68379004228108897",
        ),
        (
            "0x95095f30c7.35cb7ccbe5c9a2036dp30",
            "+99790",
            "687310044771002901760",
        ),
        ("8.715615823e21", "94051", "8715615823000000094208"),
    ];

    #[test]
    fn sums_are_those_of_the_reference() {
        for (a, b, expected) in SUMS {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }

    #[test]
    fn printing_follows_the_reference() {
        let cases = [
            ("0x1p3", "8"),
            ("5.", "5"),
            ("+.5", "0.5"),
            ("0x.8", "0.5"),
            ("3.0e3", "3000"),
            ("007", "7"),
            ("0.1", "0.1"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1e-400", "0"),
            ("1e-4950", "0"),
            ("-1e-400", "0"),
            ("-5e-18", "0"),
            ("-6e-18", "-0.00000000000000001"),
            ("1e-17", "0.00000000000000001"),
            ("1.5e-17", "0.00000000000000002"),
            ("2.5e-17", "0.00000000000000002"),
            ("0.99999999999999999999999", "1"),
            ("1e17", "100000000000000000"),
            ("111111111111111111111111111111", "111111111111111111110991806464"),
            ("0.111111111111111111111111111111", "0.11111111111111111"),
            ("-18446744073709551615", "-18446744073709551615"),
            ("inf", "inf"),
            ("-Infinity", "-inf"),
        ];
        for (text, expected) in cases {
            assert_eq!(printed(read(text)), expected, "{text}");
        }
        assert_eq!(printed(read("inf") + read("-inf")), "nan");
    }

    #[test]
    fn halves_of_the_last_place_go_to_the_even_digit() {
        // 2^-18 has 18 decimal places and ends in 5; so does three times it.
        assert_eq!(printed(read("0x1p-18")), "0.00000381469726562");
        assert_eq!(printed(read("0x3p-18")), "0.00001144409179688");
    }

    #[test]
    fn the_largest_number_prints_all_its_digits() {
        let text = printed(read("-0x1.fffffffffffffffep16383"));
        assert_eq!(text.len(), 1 + 4933);
        assert!(text.starts_with("-1189731495357231765021263853030970205169063322294624200440323733891737"));
        assert!(text.ends_with("56604419552086811989770240"));
    }

    #[test]
    fn refused_texts_follow_the_reference() {
        let refused = [
            "",
            " 1",
            "1 ",
            "1\0",
            "nan",
            ".",
            "1e",
            "0x",
            "0x1p",
            "1.2e4932",
            "-1e5000",
            "1e-4951",
            "1e-5000",
            "0x1p-16446",
            "0x1p16384",
            "0x1.ffffffffffffffffp16383",
            "1e-99999999999999999999",
            "1e99999999999999999999",
        ];
        for text in refused {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert!(LongDouble::parse("0".repeat(5119).as_bytes()).is_some());
        assert!(LongDouble::parse("0".repeat(5120).as_bytes()).is_none());
        assert!(LongDouble::parse("1".repeat(5119).as_bytes()).is_none());
    }

    #[test]
    fn overflow_is_infinite_and_opposite_infinities_are_not_a_number() {
        assert!((read("1e4932") + read("1e4932")).is_infinite());
        assert!((read("inf") + read("-inf")).is_nan());
        assert!((read("1e4932") + read("-1e4932")).is_finite());
    }

    proptest! {
        #[test]
        fn integers_print_as_themselves(value: i64) {
            let mut text = Vec::new();
            number::write_i64(value, &mut text);
            prop_assert_eq!(printed(LongDouble::from_i64(value)).into_bytes(), text.clone());
            prop_assert_eq!(LongDouble::parse(&text), Some(LongDouble::from_i64(value)));
        }

        #[test]
        fn large_integers_print_the_same_in_limbs_and_words(significand: u64, shift in 0u32..=64) {
            let mut out = Vec::new();
            write_limbs(&shifted_limbs(significand, shift), &mut out);
            prop_assert_eq!(out, (u128::from(significand) << shift).to_string().into_bytes());
        }

        #[test]
        fn no_text_panics(text in "[-+]?(0x)?[0-9a-f]{0,40}[.]?[0-9]{0,20}([ep][-+]?[0-9]{0,6})?") {
            if let Some(value) = LongDouble::parse(text.as_bytes()) {
                prop_assert!(value.is_infinite() || printed(value).len() <= 4934);
            }
        }
    }
}
