//! How numbers, bars and foreign text are shown.

/// Text from files or the user without what would steer a terminal.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

/// What a table shows of a text: no more than anybody reads in a column.
pub fn clipped(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A share of one as a bar of `cells` cells, to the eighth of a cell; what is above zero is seen.
pub fn bar(share: f64, cells: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * 8.0 * cells as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// A whole number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number in millions.
pub fn millions(number: u64) -> String {
    format!("{:.2} M", number as f64 / 1e6)
}

/// A number of bytes.
pub fn bytes(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        _ => format!("{:.1} MB", number as f64 / 1e6),
    }
}

/// A duration in nanoseconds, to three digits.
pub fn duration(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds.abs() {
        size if size < 999.5 => (nanoseconds, "ns"),
        size if size < 999.5e3 => (nanoseconds / 1e3, "µs"),
        size if size < 999.5e6 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A time that a clock of this resolution tells, or what it does not; both in nanoseconds.
pub fn resolved(time: f64, resolution: f64) -> String {
    if time < resolution { format!("< {}", duration(resolution)) } else { duration(time) }
}

/// A rate in thousands of millions per second, to three digits.
pub fn rate(per_second: f64) -> String {
    three_digits(per_second / 1e9)
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A part of a whole in percent; nothing of nothing is no number.
pub fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "–".into() } else { format!("{:.2} %", 100.0 * part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_to_the_eighth() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(1e-9, 4), "▏");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(0.53125, 4), "██▏");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(f64::NAN, 4), "");
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 5_720_028].map(thousands), ["0", "999", "1,000", "5,720,028"]);
        assert_eq!(millions(326_373_704), "326.37 M");
        assert_eq!([999, 1500, 22_880_112].map(bytes), ["999 bytes", "1.5 kB", "22.9 MB"]);
        assert_eq!(
            [0.4, 999.0, 1234.0, 56_789.0, 9.996e8, 2e9].map(duration),
            ["0.40 ns", "999 ns", "1.23 µs", "56.8 µs", "1.00 s", "2.00 s"]
        );
        assert_eq!([1.5e9, 123.4e9, 2e12].map(rate), ["1.50", "123", "2000"]);
        assert_eq!([percent(1, 3), percent(0, 0)], ["33.33 %", "–"]);
    }

    #[test]
    fn long_text_is_cut_between_letters() {
        assert_eq!(clipped("→ 犬"), "→ 犬");
        assert_eq!(clipped(&"犬".repeat(200)), "犬".repeat(200));
        assert_eq!(clipped(&"犬".repeat(70_000)), "犬".repeat(200) + "…");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(printable("a\x1b[2J\nb → 犬"), "a\\u{1b}[2J\\nb → 犬");
    }
}
