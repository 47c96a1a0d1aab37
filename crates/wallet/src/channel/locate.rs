//! Where a QR code's modules are in a picture.
//!
//! Why not rqrr's own detector: it lost half of our codes at a blur of a third of a module, and on a crafted
//! picture it asserts, overflows, and copies the picture once for every pair of corner marks. Here the work
//! is bounded by the size of the picture and the constants below, coordinates saturate, and reading outside
//! the picture gives its edge.
//!
//! The steps are the usual ones (ISO/IEC 18004 12): make the picture black and white; find marks with runs of
//! 1:1:3:1:1 across and down; pair three of them as the corners of a square; guess the version; find the
//! alignment pattern that gives the fourth point of the perspective; look at the middle of every module.
//! Brightness is kept at that last step, so that a blurred code can be sharpened there, module against
//! module.

use image::{GrayImage, imageops};

/// Larger pictures are shrunk to this before the search: more pixels to a module do not help it.
const SIDE_SEARCHED_MAX: u32 = 3072;
/// More marks than this and the picture is not a photograph of a code.
const MARKS_MAX: usize = 400;
/// Only the marks seen on most lines are combined to corners, and only the squarest combinations are looked
/// at.
const MARKS_COMBINED_MAX: usize = 24;
const CORNERS_MAX: usize = 64;

/// How a picture is made black and white.
#[derive(Clone, Copy, Debug)]
pub(super) enum Threshold {
    /// One level for the whole picture (Otsu 1979): best for screens, scans and drawings.
    Global,
    /// Below the mean of what is around it: for shadows and gradients.
    Local,
}

/// More marks than a picture of codes has.
#[derive(Debug)]
pub(super) struct TooBusy;

/// A point in the picture, in pixels.
#[derive(Clone, Copy, Debug)]
struct Point {
    x: f32,
    y: f32,
}

impl Point {
    fn minus(self, o: Point) -> Point {
        Point { x: self.x - o.x, y: self.y - o.y }
    }
    fn plus(self, o: Point, times: f32) -> Point {
        Point { x: self.x + o.x * times, y: self.y + o.y * times }
    }
    fn length(self) -> f32 {
        self.x.hypot(self.y)
    }
    fn cross(self, o: Point) -> f32 {
        self.x * o.y - self.y * o.x
    }
}

/// The middle of something that looks like a corner of a code.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Point,
    /// Width across, seven modules.
    width: f32,
    /// On how many lines it was seen.
    lines: u32,
}

/// Three marks that could be the corners of one code. The marks are named by number, so that those of a code
/// that was read are not tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corners {
    pub(super) marks: [usize; 3],
    top_left: Point,
    top_right: Point,
    bottom_left: Point,
}

/// The brightness of each module of what may be a code.
pub(super) struct Modules {
    side: usize,
    light: Vec<f32>,
    /// What parts light from dark around each module.
    level: Vec<f32>,
}

/// A picture prepared for the search.
pub(super) struct Picture {
    grey: GrayImage,
    dark: Vec<bool>,
}

impl Picture {
    pub(super) fn new(picture: &GrayImage, threshold: Threshold) -> Picture {
        let (w, h) = picture.dimensions();
        let longest = w.max(h);
        let grey = if longest > SIDE_SEARCHED_MAX {
            let shrunk =
                |side: u32| (u64::from(side) * u64::from(SIDE_SEARCHED_MAX) / u64::from(longest)).max(1);
            imageops::thumbnail(picture, shrunk(w) as u32, shrunk(h) as u32)
        } else {
            picture.clone()
        };
        let dark = match threshold {
            Threshold::Global => global(&grey),
            Threshold::Local => local(&grey),
        };
        Picture { grey, dark }
    }

    /// The combinations of three marks that could be a code, the squarest first.
    pub(super) fn corners(&self) -> Result<Vec<Corners>, TooBusy> {
        let mut marks = self.marks()?;
        marks.sort_by_key(|m| std::cmp::Reverse(m.lines));
        marks.truncate(MARKS_COMBINED_MAX);
        let mut found: Vec<(f32, Corners)> = Vec::new();
        for a in 0..marks.len() {
            for b in (0..marks.len()).filter(|&b| b != a) {
                for c in (b + 1..marks.len()).filter(|&c| c != a) {
                    found.extend(square(&marks, a, b, c));
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(CORNERS_MAX);
        Ok(found.into_iter().map(|(_, corners)| corners).collect())
    }

    /// The modules between three corners, for every version that fits, the likeliest first.
    pub(super) fn modules(&self, corners: &Corners) -> Vec<Modules> {
        let across = corners.top_right.minus(corners.top_left);
        let down = corners.bottom_left.minus(corners.top_left);
        // What 3.5 modules measure at both ends of both edges.
        let halves = [
            self.half_mark(corners.top_left, across),
            self.half_mark(corners.top_right, across),
            self.half_mark(corners.top_left, down),
            self.half_mark(corners.bottom_left, down),
        ];
        let mut guesses: Vec<f32> = Vec::new();
        for (edge, pair) in [(across, &halves[..2]), (down, &halves[2..])] {
            let module = (pair[0] + pair[1]) / 7.0;
            guesses.push(edge.length() / module + 7.0);
        }
        let version = ((guesses[0] + guesses[1]) / 2.0 - 17.0) / 4.0;
        if !version.is_finite() {
            return Vec::new();
        }
        // The mark is measured to about two percent, which is more than a version from version 20 on.
        let reach = 1 + (version / 14.0).max(0.0) as i32;
        let middle = version.round() as i32;
        let mut fits: Vec<(f32, usize, Perspective)> = (middle - reach..=middle + reach)
            .filter(|v| (1..=40).contains(v))
            .filter_map(|v| self.fit(corners, v as u8))
            .filter(|(score, ..)| *score > 0.7)
            .collect();
        fits.sort_by(|a, b| b.0.total_cmp(&a.0));
        fits.truncate(3);
        fits.into_iter().map(|(_, side, plane)| self.look(side, &plane)).collect()
    }

    /// How well a version fits, from the timing patterns (0 to 1), the modules to its side, and where they
    /// are.
    fn fit(&self, corners: &Corners, version: u8) -> Option<(f32, usize, Perspective)> {
        let side = 17 + 4 * usize::from(version);
        let far = side as f32 - 3.5;
        let across = corners.top_right.minus(corners.top_left);
        let down = corners.bottom_left.minus(corners.top_left);
        let span = far - 3.5;
        let parallel =
            |u: f32, v: f32| corners.top_left.plus(across, (u - 3.5) / span).plus(down, (v - 3.5) / span);
        let mut fourth = (far, parallel(far, far));
        if version > 1 {
            let step = [across, down].map(|edge| Point { x: edge.x / span, y: edge.y / span });
            let expected = parallel(side as f32 - 6.5, side as f32 - 6.5);
            if let Some(at) = self.alignment(expected, step, 2.0 + side as f32 / 12.0) {
                fourth = (side as f32 - 6.5, at);
            }
        }
        let plane = Perspective::new(
            [(3.5, 3.5), (far, 3.5), (fourth.0, fourth.0), (3.5, far)],
            [corners.top_left, corners.top_right, fourth.1, corners.bottom_left],
        );
        let plane = plane?;
        let cell = |x: usize, y: usize| self.cell(|u, v| plane.map(x as f32 + u, y as f32 + v));
        let agree = [true, false].map(|across| {
            let line: Vec<f32> =
                (8..side - 8).map(|i| if across { cell(i, 6) } else { cell(6, i) }).collect();
            let (low, high) = range(line.iter().copied());
            let dark = line.iter().map(|light| *light < (low + high) / 2.0);
            dark.enumerate().filter(|(i, dark)| *dark == (i % 2 == 0)).count()
        });
        Some(((agree[0] + agree[1]) as f32 / (2 * (side - 16)) as f32, side, plane))
    }

    fn look(&self, side: usize, plane: &Perspective) -> Modules {
        let light = (0..side * side)
            .map(|i| self.cell(|u, v| plane.map((i % side) as f32 + u, (i / side) as f32 + v)))
            .collect();
        Modules::new(side, light)
    }

    /// Brightness around the middle of a module, given as a map from module to picture.
    fn cell(&self, at: impl Fn(f32, f32) -> Point) -> f32 {
        const SPOTS: [(f32, f32); 5] = [(0.5, 0.5), (0.35, 0.5), (0.65, 0.5), (0.5, 0.35), (0.5, 0.65)];
        SPOTS.iter().map(|&(u, v)| self.light(at(u, v))).sum::<f32>() / SPOTS.len() as f32
    }

    /// The middle of the alignment pattern near a point, if there is one within `reach` modules.
    fn alignment(&self, near: Point, step: [Point; 2], reach: f32) -> Option<Point> {
        let at = |middle: Point, u: f32, v: f32| middle.plus(step[0], u).plus(step[1], v);
        // One spot to a module is enough to find it, five to centre on it.
        let score = |middle: Point, fine: bool| {
            let (mut dark, mut light) = (0.0, 0.0);
            for row in -2i32..=2 {
                for column in -2i32..=2 {
                    let (column_at, row_at) = (column as f32, row as f32);
                    let seen = if fine {
                        self.cell(|u, v| at(middle, column_at + u - 0.5, row_at + v - 0.5))
                    } else {
                        self.light(at(middle, column_at, row_at))
                    };
                    if row.abs().max(column.abs()) == 1 { light += seen / 8.0 } else { dark += seen / 17.0 }
                }
            }
            light - dark
        };
        let mut best = (f32::MIN, near);
        for (pitch, reach, fine) in [(0.5, reach, false), (0.125, 0.5, true)] {
            let middle = best.1;
            best.0 = f32::MIN;
            let steps = (reach / pitch) as i32;
            for row in -steps..=steps {
                for column in -steps..=steps {
                    let here = at(middle, column as f32 * pitch, row as f32 * pitch);
                    let scored = score(here, fine);
                    if scored > best.0 {
                        best = (scored, here);
                    }
                }
            }
        }
        // A twelfth of full contrast: below it what was found is noise.
        (best.0 > 20.0).then_some(best.1)
    }

    /// From the middle of a mark to its edge along a direction, the mean of both ways: 3.5 modules.
    fn half_mark(&self, middle: Point, along: Point) -> f32 {
        let length = along.length().max(1.0);
        let way = |sign: f32| {
            let mut changes = 0;
            let mut was_dark = true;
            let mut gone = 0.0;
            while gone < length {
                let is_dark = self.is_dark(middle.plus(along, sign * gone / length));
                if is_dark != was_dark {
                    changes += 1;
                    was_dark = is_dark;
                    if changes == 3 {
                        return gone;
                    }
                }
                gone += 0.25;
            }
            f32::NAN
        };
        match (way(1.0), way(-1.0)) {
            (a, b) if a.is_nan() => b,
            (a, b) if b.is_nan() => a,
            (a, b) => (a + b) / 2.0,
        }
    }

    fn width(&self) -> usize {
        self.grey.width() as usize
    }

    fn height(&self) -> usize {
        self.grey.height() as usize
    }

    fn is_dark(&self, p: Point) -> bool {
        let (x, y) = (p.x as usize, p.y as usize);
        p.x >= 0.0 && p.y >= 0.0 && x < self.width() && y < self.height() && self.dark[y * self.width() + x]
    }

    /// Brightness between pixels. A pixel's middle is at half.
    fn light(&self, p: Point) -> f32 {
        let (x, y) = (p.x - 0.5, p.y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let pixel = |x: f32, y: f32| {
            let x = (x.max(0.0) as u32).min(self.grey.width() - 1);
            let y = (y.max(0.0) as u32).min(self.grey.height() - 1);
            f32::from(self.grey.get_pixel(x, y).0[0])
        };
        let upper = pixel(left, top) * (1.0 - fx) + pixel(left + 1.0, top) * fx;
        let lower = pixel(left, top + 1.0) * (1.0 - fx) + pixel(left + 1.0, top + 1.0) * fx;
        upper * (1.0 - fy) + lower * fy
    }

    fn marks(&self) -> Result<Vec<Mark>, TooBusy> {
        let mut marks: Vec<Mark> = Vec::new();
        let w = self.width();
        for y in 0..self.height() {
            let row = &self.dark[y * w..(y + 1) * w];
            let mut runs = [0usize; 5];
            let mut start = 0;
            for x in 1..=w {
                if x < w && row[x] == row[start] {
                    continue;
                }
                runs.rotate_left(1);
                runs[4] = x - start;
                if row[start] && is_mark(&runs) {
                    let middle = x as f32 - (runs[4] + runs[3]) as f32 - runs[2] as f32 / 2.0;
                    if let Some(mark) = self.cross_check(middle, y, runs.iter().sum()) {
                        gather(&mut marks, mark);
                        if marks.len() > MARKS_MAX {
                            return Err(TooBusy);
                        }
                    }
                }
                start = x;
            }
        }
        Ok(marks)
    }

    /// A mark has the same runs down as across; both middles are then known.
    fn cross_check(&self, x: f32, y: usize, width: usize) -> Option<Mark> {
        let (middle_y, height) = self.runs_through(x as usize, y, width, false)?;
        let (middle_x, width) = self.runs_through(x as usize, middle_y as usize, width, true)?;
        let like = width * 2.0 < height * 3.0 && height * 2.0 < width * 3.0;
        like.then_some(Mark {
            at: Point { x: middle_x, y: middle_y },
            width: (width + height) / 2.0,
            lines: 1,
        })
    }

    /// The middle and length of the 1:1:3:1:1 runs through a pixel, across or down.
    fn runs_through(&self, x: usize, y: usize, reach: usize, across: bool) -> Option<(f32, f32)> {
        let (here, end) = if across { (x, self.width()) } else { (y, self.height()) };
        let dark =
            |i: usize| if across { self.dark[y * self.width() + i] } else { self.dark[i * self.width() + x] };
        if here >= end || x >= self.width() || y >= self.height() || !dark(here) {
            return None;
        }
        let mut runs = [0usize; 5];
        let mut i = here;
        let mut begin = here;
        for run in [2, 1, 0] {
            let colour = run != 1;
            while dark(i) == colour && runs[run] <= reach {
                runs[run] += 1;
                begin = i;
                if i == 0 {
                    break;
                }
                i -= 1;
            }
            if i == 0 && run > 0 {
                return None;
            }
        }
        i = here + 1;
        for run in [2, 3, 4] {
            let colour = run != 3;
            while i < end && dark(i) == colour && runs[run] <= reach {
                runs[run] += 1;
                i += 1;
            }
        }
        is_mark(&runs).then(|| {
            let before = begin + runs[0] + runs[1];
            (before as f32 + runs[2] as f32 / 2.0, runs.iter().sum::<usize>() as f32)
        })
    }
}

impl Modules {
    fn new(side: usize, light: Vec<f32>) -> Modules {
        // Nine modules across and down hold both colours, whatever the mask left there. Their darkest and
        // lightest, first along the rows, then along the columns.
        let near = |i: usize| i.saturating_sub(4)..(i + 5).min(side);
        let rows: Vec<(f32, f32)> =
            (0..side * side).map(|i| range(near(i % side).map(|x| light[i / side * side + x]))).collect();
        let level = (0..side * side)
            .map(|i| {
                let column = near(i / side).map(|y| rows[y * side + i % side]);
                let (low, high) =
                    column.fold((f32::MAX, f32::MIN), |(l, h), (low, high)| (l.min(low), h.max(high)));
                (low + high) / 2.0
            })
            .collect();
        Modules { side, light, level }
    }

    /// Modules to a side.
    pub(super) fn side(&self) -> usize {
        self.side
    }

    /// Whether a module is dark, after taking away a share of its four neighbours, which is what blur added.
    pub(super) fn is_dark(&self, x: usize, y: usize, sharpen: f32) -> bool {
        let i = y * self.side + x;
        let own = self.light[i] - self.level[i];
        if sharpen == 0.0 {
            return own < 0.0;
        }
        let beside = |dx: isize, dy: isize| match (x.checked_add_signed(dx), y.checked_add_signed(dy)) {
            (Some(x), Some(y)) if x < self.side && y < self.side => {
                self.light[y * self.side + x] - self.level[i]
            }
            // Outside is the quiet zone, which is light.
            _ => own.abs(),
        };
        own < sharpen * (beside(1, 0) + beside(-1, 0) + beside(0, 1) + beside(0, -1))
    }
}

fn range(numbers: impl Iterator<Item = f32>) -> (f32, f32) {
    numbers.fold((f32::MAX, f32::MIN), |(low, high), n| (low.min(n), high.max(n)))
}

/// Dark, light, dark, light, dark in 1:1:3:1:1, each within three quarters of a module.
fn is_mark(runs: &[usize; 5]) -> bool {
    let total: usize = runs.iter().sum();
    if total < 7 || runs.contains(&0) {
        return false;
    }
    let module = total as f32 / 7.0;
    let off = |run: usize, expected: f32| (run as f32 - expected * module).abs();
    off(runs[2], 3.0) < module * 1.5 && [0, 1, 3, 4].iter().all(|&i| off(runs[i], 1.0) < module * 0.75)
}

/// Counts a mark to the one already there, or as a new one.
fn gather(marks: &mut Vec<Mark>, mark: Mark) {
    let near = marks.iter_mut().find(|m| m.at.minus(mark.at).length() < m.width / 4.0);
    let Some(m) = near else { return marks.push(mark) };
    let mean = |a: f32, b: f32| a + (b - a) / (m.lines + 1) as f32;
    m.at = Point { x: mean(m.at.x, mark.at.x), y: mean(m.at.y, mark.at.y) };
    m.width = mean(m.width, mark.width);
    m.lines += 1;
}

/// Three marks as corners around `a`, and how far they are from a square.
fn square(marks: &[Mark], a: usize, b: usize, c: usize) -> Option<(f32, Corners)> {
    let (mut first, mut second) = (b, c);
    let corner = marks[a].at;
    let (p, q) = (marks[b].at.minus(corner), marks[c].at.minus(corner));
    if p.cross(q) < 0.0 {
        (first, second) = (c, b);
    }
    let widths = [a, b, c].map(|i| marks[i].width);
    let (narrow, wide) = range(widths.into_iter());
    let lengths = p.length().max(1.0) / q.length().max(1.0);
    let lean = (p.x * q.x + p.y * q.y).abs() / (p.length() * q.length()).max(1.0);
    let uneven = lengths.max(1.0 / lengths) - 1.0;
    let unlike = wide / narrow - 1.0;
    // A version 1 code has its marks two widths apart, a version 40 code 24.
    let apart = p.length().min(q.length()) / wide;
    if uneven > 0.5 || lean > 0.4 || unlike > 0.6 || !(1.2..30.0).contains(&apart) {
        return None;
    }
    let corners = Corners {
        marks: [a, first, second],
        top_left: corner,
        top_right: marks[first].at,
        bottom_left: marks[second].at,
    };
    Some((uneven + lean + unlike, corners))
}

/// Otsu's level: the one that parts the histogram into two classes farthest apart.
fn global(grey: &GrayImage) -> Vec<bool> {
    let mut counts = [0u64; 256];
    for pixel in grey.pixels() {
        counts[usize::from(pixel.0[0])] += 1;
    }
    let weigh = |(level, count): (usize, &u64)| level as f64 * *count as f64;
    let (count, sum) = (grey.len() as f64, counts.iter().enumerate().map(weigh).sum::<f64>());
    let (mut below, mut sum_below, mut best, mut first, mut last) = (0.0, 0.0, -1.0, 0, 0);
    for (level, here) in counts.iter().enumerate().take(255) {
        below += *here as f64;
        sum_below += weigh((level, here));
        if below == 0.0 || below == count {
            continue;
        }
        let apart = sum_below / below - (sum - sum_below) / (count - below);
        let variance = below * (count - below) * apart * apart;
        if variance > best {
            (best, first, last) = (variance, level, level);
        } else if variance == best {
            last = level;
        }
    }
    // Between two far classes every level is equally good; the middle is the fairest to a blurred edge.
    let level = (first + last) / 2;
    grey.pixels().map(|p| usize::from(p.0[0]) <= level).collect()
}

/// Darker than the mean of a window about a sixth of the picture wide.
fn local(grey: &GrayImage) -> Vec<bool> {
    let (w, h) = (grey.width() as usize, grey.height() as usize);
    let reach = (w.max(h) / 12).max(8);
    let stride = w + 1;
    // Sums of everything above and left: at most 3072 * 3072 * 255, which fits.
    let mut sums = vec![0u32; stride * (h + 1)];
    for y in 0..h {
        let mut row = 0u32;
        for x in 0..w {
            row += u32::from(grey.get_pixel(x as u32, y as u32).0[0]);
            sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
        }
    }
    let mut dark = Vec::with_capacity(w * h);
    for y in 0..h {
        let (top, bottom) = (y.saturating_sub(reach), (y + reach + 1).min(h));
        for x in 0..w {
            let (left, right) = (x.saturating_sub(reach), (x + reach + 1).min(w));
            let sum = sums[bottom * stride + right] + sums[top * stride + left]
                - sums[bottom * stride + left]
                - sums[top * stride + right];
            let area = ((bottom - top) * (right - left)) as u64;
            // A little below the mean, so that even paper stays white.
            let level = u64::from(grey.get_pixel(x as u32, y as u32).0[0]);
            dark.push(level * area * 100 < u64::from(sum) * 95);
        }
    }
    dark
}

/// The plane of a code as the picture shows it: a map from modules to pixels with eight free numbers.
struct Perspective([f64; 8]);

impl Perspective {
    /// The map that takes four points to four points, if no three are in line.
    fn new(from: [(f32, f32); 4], to: [Point; 4]) -> Option<Perspective> {
        let mut rows = [[0.0f64; 9]; 8];
        for (i, (&(u, v), p)) in from.iter().zip(to).enumerate() {
            let (u, v, x, y) = (f64::from(u), f64::from(v), f64::from(p.x), f64::from(p.y));
            rows[2 * i] = [u, v, 1.0, 0.0, 0.0, 0.0, -u * x, -v * x, x];
            rows[2 * i + 1] = [0.0, 0.0, 0.0, u, v, 1.0, -u * y, -v * y, y];
        }
        // Gauss and Jordan, with pivots.
        for column in 0..8 {
            let pivot =
                (column..8).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
            rows.swap(column, pivot);
            if rows[column][column].abs() < 1e-9 {
                return None;
            }
            let scale = rows[column][column];
            rows[column].iter_mut().for_each(|n| *n /= scale);
            let pivot_row = rows[column];
            for (i, row) in rows.iter_mut().enumerate() {
                let times = row[column];
                if i != column {
                    row.iter_mut().zip(pivot_row).for_each(|(n, p)| *n -= times * p);
                }
            }
        }
        Some(Perspective(rows.map(|row| row[8])))
    }

    fn map(&self, u: f32, v: f32) -> Point {
        let [a, b, c, d, e, f, g, h] = self.0;
        let (u, v) = (f64::from(u), f64::from(v));
        let depth = g * u + h * v + 1.0;
        Point { x: ((a * u + b * v + c) / depth) as f32, y: ((d * u + e * v + f) / depth) as f32 }
    }
}
