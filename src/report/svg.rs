//! Elements of a picture, as text.

use std::fmt::Write as _;

/// A picture in the making: white, with text in a plain font.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// A picture of this size in pixels.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
                 width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
                 font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
            ),
        }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.text.write_fmt(element).expect("a String grows");
        self.text.push('\n');
    }

    /// A box; nothing if it is empty.
    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        if width > 0.0 && height > 0.0 {
            self.push(format_args!(
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
                 fill=\"{fill}\"/>"
            ));
        }
    }

    /// A straight line; `style` is SVG.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<line x1=\"{x1:.2}\" y1=\"{y1:.2}\" x2=\"{x2:.2}\" y2=\"{y2:.2}\" {style}/>"
        ));
    }

    /// A shape with straight edges, or with `closed` false a line of them; `style` is SVG.
    pub(super) fn path(&mut self, points: &[(f64, f64)], closed: bool, style: &str) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let letter = if index == 0 { 'M' } else { 'L' };
            write!(path, "{letter}{x:.2} {y:.2}").expect("a String grows");
        }
        let end = if closed { "Z" } else { "" };
        self.push(format_args!("<path d=\"{path}{end}\" {style}/>"));
    }

    /// Small squares of one colour about these places; nothing if there are none.
    pub(super) fn dots(&mut self, places: &[(f64, f64)], side: f64, fill: &str) {
        if places.is_empty() {
            return;
        }
        let mut path = String::new();
        for (x, y) in places {
            let (left, top) = (x - side / 2.0, y - side / 2.0);
            write!(path, "M{left:.1} {top:.1}h{side}v{side}h-{side}z").expect("a String grows");
        }
        self.push(format_args!("<path d=\"{path}\" fill=\"{fill}\"/>"));
    }

    /// A line of text; `anchor` is `start`, `middle` or `end`.
    pub(super) fn words(&mut self, (x, y): (f64, f64), anchor: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.push(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"{anchor}\">{words}</text>"
        ));
    }

    /// The whole picture.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// A number with its thousands apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
