//! A picture drawn with text: eight dots a letter (Unicode's braille patterns), words in their places.

use super::picture::{Element, Picture};

/// Dots of a letter, across and down.
const ACROSS: usize = 2;
const DOWN: usize = 4;
/// A letter is twice as high as it is wide.
const ASPECT: f64 = 2.0;
/// The bit of each dot of a braille pattern, by row, then column.
const BITS: [[u8; ACROSS]; DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Picture {
    /// The picture in lines of `columns` letters at most.
    pub fn text(&self, columns: usize) -> String {
        let mut grid = Grid::new(self, columns.clamp(40, 160));
        self.elements.iter().for_each(|element| grid.draw(element));
        self.elements.iter().for_each(|element| grid.write(element));
        grid.finish()
    }
}

struct Grid {
    columns: usize,
    rows: usize,
    /// Pixels of a dot, across and down.
    dot: (f64, f64),
    patterns: Vec<u8>,
    letters: Vec<Option<char>>,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the grid")]
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

impl Grid {
    fn new(picture: &Picture, columns: usize) -> Self {
        let letter = picture.width / columns as f64;
        let rows = whole((picture.height / (letter * ASPECT)).ceil()).max(1);
        let cells = columns * rows;
        Self {
            columns,
            rows,
            dot: (letter / ACROSS as f64, letter * ASPECT / DOWN as f64),
            patterns: vec![0; cells],
            letters: vec![None; cells],
        }
    }

    fn set(&mut self, (x, y): (f64, f64)) {
        if x < 0.0 || y < 0.0 {
            return;
        }
        let (across, down) = (whole(x / self.dot.0), whole(y / self.dot.1));
        let (column, row) = (across / ACROSS, down / DOWN);
        if column < self.columns && row < self.rows {
            self.patterns[row * self.columns + column] |= BITS[down % DOWN][across % ACROSS];
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = ((to.0 - from.0).abs() / self.dot.0).max((to.1 - from.1).abs() / self.dot.1);
        let steps = whole(steps.ceil().min(1e4)).max(1);
        for step in 0..=steps {
            let part = step as f64 / steps as f64;
            self.set((from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part));
        }
    }

    /// Everything but words.
    fn draw(&mut self, element: &Element) {
        match element {
            Element::Words { .. } | Element::Path { faint: true, .. } => {}
            Element::Bar([x, y, width, height], _) => {
                let mut down = *y + self.dot.1 / 2.0;
                while down < y + height {
                    self.line((*x, down), (x + width - self.dot.0 / 2.0, down));
                    down += self.dot.1;
                }
            }
            Element::Path { points, closed, style, .. } => {
                if style.contains("stroke=\"none\"") {
                    return;
                }
                points.windows(2).for_each(|pair| self.line(pair[0], pair[1]));
                if let (true, Some(first), Some(last)) = (closed, points.first(), points.last()) {
                    self.line(*last, *first);
                }
            }
            Element::Dots { places, .. } => places.iter().for_each(|place| self.set(*place)),
        }
    }

    /// Words, where no others are.
    fn write(&mut self, element: &Element) {
        let Element::Words { at: (x, y), anchor, text, .. } = element else { return };
        let row = whole(y / (self.dot.1 * DOWN as f64) - 0.4).min(self.rows - 1);
        let letters: Vec<char> = text.chars().take(self.columns).collect();
        let at = whole(x / (self.dot.0 * ACROSS as f64));
        let begin = match *anchor {
            "middle" => at.saturating_sub(letters.len() / 2),
            "end" => at.saturating_sub(letters.len()),
            _ => at,
        };
        let begin = begin.min(self.columns - letters.len());
        let place = row * self.columns + begin;
        let taken = |place: usize| self.letters.get(place).is_some_and(Option::is_some);
        if (place.saturating_sub(1)..=place + letters.len()).any(taken) {
            return;
        }
        for (offset, letter) in letters.into_iter().enumerate() {
            self.letters[place + offset] = Some(letter);
        }
    }

    fn finish(self) -> String {
        let cells = self.patterns.iter().zip(&self.letters).map(|(pattern, letter)| match letter {
            Some(letter) => *letter,
            None if *pattern == 0 => ' ',
            None => char::from_u32(0x2800 + u32::from(*pattern)).unwrap_or(' '),
        });
        let cells: Vec<char> = cells.collect();
        let mut text = String::new();
        for row in cells.chunks(self.columns) {
            text.push_str(row.iter().collect::<String>().trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_words_and_bars_have_their_places() {
        let mut picture = Picture::new(400.0, 80.0);
        picture.words((0.0, 12.0), "start", "a title");
        picture.words((400.0, 12.0), "end", "right");
        picture.bar(0.0, 60.0, 100.0, 20.0, "black");
        picture.line((390.0, 0.0), (390.0, 80.0), "stroke=\"black\"");
        picture.grid((0.0, 40.0), (400.0, 40.0));
        let text = picture.text(40);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("a title") && lines[0].ends_with("right"), "{text}");
        assert_eq!(lines[3].chars().take(10).collect::<String>(), "⣿".repeat(10), "{text}");
        assert_eq!(lines[2].chars().filter(|letter| *letter != ' ').count(), 1, "{text}");
        assert!(lines[1].trim_start().chars().count() == 1, "{text}");
    }

    #[test]
    fn words_do_not_cover_each_other() {
        let mut picture = Picture::new(400.0, 40.0);
        picture.words((0.0, 12.0), "start", "first");
        picture.words((30.0, 12.0), "start", "second");
        assert_eq!(picture.text(40).lines().next(), Some("first"));
    }
}
