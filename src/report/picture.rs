//! A picture as its elements, in pixels: written as SVG, or drawn with text for a terminal.

use std::fmt::Write as _;

/// Elements in the order in which they are drawn, on white, or on a dark page where the reader wants that; with
/// text in a plain font.
#[derive(Debug, Clone)]
pub struct Picture {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) elements: Vec<Element>,
}

/// One element.
#[derive(Debug, Clone)]
pub(super) enum Element {
    /// A box of one colour: left, top, width, height.
    Bar([f64; 4], String),
    /// Straight lines from point to point; the text is their style as SVG.
    Path { points: Vec<(f64, f64)>, closed: bool, style: String, faint: bool },
    /// Small squares of one colour, with their side.
    Dots { places: Vec<(f64, f64)>, side: f64, fill: String },
    /// A line of text, its anchor `start`, `middle` or `end`.
    Words { at: (f64, f64), anchor: &'static str, text: String, colour: &'static str },
}

/// Colours where the reader wants dark pages. Text that has a colour of its own is on a coloured ground, and
/// keeps it.
const DARK: &str = "<style>@media (prefers-color-scheme:dark){#page{fill:#16181d}\
    text:not([fill]){fill:#e6e6e6}[stroke=\"#DDDDDD\" i]{stroke:#33373f}\
    [stroke=\"black\"]{stroke:#c8c8c8}[fill=\"#C8C8C8\" i]{fill:#5a5f69}\
    [fill=\"#3B6EA5\" i]{fill:#6ea3dc}[stroke=\"#3B6EA5\" i]{stroke:#6ea3dc}\
    [stroke=\"#B22222\" i]{stroke:#f06a6a}[fill^=hsl],[stroke^=hsl]{filter:brightness(1.5)}}</style>";

/// What helps to read a picture, and is left out where there is no room: lines of a grid.
const GRID: &str = "stroke=\"#dddddd\"";

impl Picture {
    /// An empty picture of this size.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, elements: Vec::new() }
    }

    /// A box; nothing if it is empty.
    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        if width > 0.0 && height > 0.0 {
            self.elements.push(Element::Bar([x, y, width, height], fill.to_owned()));
        }
    }

    /// A straight line; `style` is SVG.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        self.path(&[from, to], false, style);
    }

    /// A line of a grid.
    pub(super) fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.faint(&[from, to], false, GRID);
    }

    /// A shape with straight edges, or with `closed` false a line of them; `style` is SVG.
    pub(super) fn path(&mut self, points: &[(f64, f64)], closed: bool, style: &str) {
        self.push_path(points, closed, style, false);
    }

    /// The same, left out where there is no room for it.
    pub(super) fn faint(&mut self, points: &[(f64, f64)], closed: bool, style: &str) {
        self.push_path(points, closed, style, true);
    }

    fn push_path(&mut self, points: &[(f64, f64)], closed: bool, style: &str, faint: bool) {
        let (points, style) = (points.to_vec(), style.to_owned());
        self.elements.push(Element::Path { points, closed, style, faint });
    }

    /// Small squares of one colour about these places; nothing if there are none.
    pub(super) fn dots(&mut self, places: &[(f64, f64)], side: f64, fill: &str) {
        if !places.is_empty() {
            let (places, fill) = (places.to_vec(), fill.to_owned());
            self.elements.push(Element::Dots { places, side, fill });
        }
    }

    /// A line of text; `anchor` is `start`, `middle` or `end`.
    pub(super) fn words(&mut self, at: (f64, f64), anchor: &'static str, words: &str) {
        self.words_in(at, anchor, words, "black");
    }

    /// The same in a colour.
    pub(super) fn words_in(
        &mut self,
        at: (f64, f64),
        anchor: &'static str,
        words: &str,
        colour: &'static str,
    ) {
        if !words.is_empty() {
            let text = words.to_owned();
            self.elements.push(Element::Words { at, anchor, text, colour });
        }
    }

    /// The picture as SVG.
    pub fn svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n{DARK}\n\
             <rect id=\"page\" width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        for element in &self.elements {
            element.write(&mut text).expect("a String grows");
            text.push('\n');
        }
        text.push_str("</svg>\n");
        text
    }
}

impl Element {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        match self {
            Self::Bar([x, y, width, height], fill) => write!(
                text,
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
                 fill=\"{fill}\"/>"
            ),
            Self::Path { points, closed: false, style, .. } if points.len() == 2 => {
                let [(x1, y1), (x2, y2)] = [points[0], points[1]];
                write!(
                    text,
                    "<line x1=\"{x1:.2}\" y1=\"{y1:.2}\" x2=\"{x2:.2}\" y2=\"{y2:.2}\" {style}/>"
                )
            }
            Self::Path { points, closed, style, .. } => {
                text.push_str("<path d=\"");
                for (index, (x, y)) in points.iter().enumerate() {
                    let letter = if index == 0 { 'M' } else { 'L' };
                    write!(text, "{letter}{x:.2} {y:.2}")?;
                }
                write!(text, "{}\" {style}/>", if *closed { "Z" } else { "" })
            }
            Self::Dots { places, side, fill } => {
                text.push_str("<path d=\"");
                for (x, y) in places {
                    let (left, top) = (x - side / 2.0, y - side / 2.0);
                    write!(text, "M{left:.1} {top:.1}h{side}v{side}h-{side}z")?;
                }
                write!(text, "\" fill=\"{fill}\"/>")
            }
            Self::Words { at: (x, y), anchor, text: words, colour } => {
                let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let fill = match *colour {
                    "black" => String::new(),
                    colour => format!(" fill=\"{colour}\""),
                };
                write!(
                    text,
                    "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"{anchor}\"{fill}>{words}</text>"
                )
            }
        }
    }
}

/// Hues a golden angle apart: neighbours in number are far apart in colour.
pub(super) fn colour(number: usize) -> String {
    let hue = (number as f64 * 137.508) % 360.0;
    let light = [42, 55, 34][number % 3];
    format!("hsl({hue:.0},70%,{light}%)")
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
