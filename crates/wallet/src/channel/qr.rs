//! Messages as QR codes: drawn from bytes, read from pictures.
//!
//! The payload is one byte-mode segment that holds the message itself. Text encodings such as base64 would
//! cost a third more, and the version of a code, hence how well a poor camera reads it, is decided by its
//! length.
//!
//! The reader is `rxing`, a port of ZXing; docs/adr/0004-qr-reader.md says why, and what it cannot read. It has two
//! QR readers; ours is the one that follows zxing-cpp, with both of its binarizers, which between them read more
//! than either.
//!
//! What is in the way of rxing's plain interface: it makes text of the payload, and nothing in it bounds the
//! work. So its steps are called one by one here, and the bytes taken before they become text.
//!
//! The reader is for pictures that strangers made. Before anything is allocated the picture's size is
//! checked, and the search in it does an amount of work that depends on that size alone.

use std::borrow::Cow;
use std::fmt;
use std::io::Cursor;
use std::panic::catch_unwind;

use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
    Luma, codecs::png::PngEncoder, imageops,
};
use qrcodegen::{QrCode, QrCodeEcc};
use rxing::common::{BitMatrix, DetectorRXingResult, GlobalHistogramBinarizer, HybridBinarizer};
use rxing::qrcode::cpp_port::{decoder, detector};
use rxing::{Binarizer, Exceptions, Luma8Source};

use super::ChannelError;

/// The most bytes that one QR code holds: version 40, level L, byte mode (ISO/IEC 18004 table 7).
pub const PAYLOAD_BYTES_MAX: usize = 2953;

/// White modules around the code (ISO/IEC 18004 6.3.8).
pub const QUIET_ZONE_MODULES: u32 = 4;

/// Pixels to the side of a module in a drawn PNG.
pub const MODULE_PIXELS: u32 = 8;

/// The widest and highest picture that is read, in pixels.
pub const PICTURE_SIDE_MAX: u32 = 8192;

/// The most memory that a decoded picture may take, in bytes: 8192 x 4096 pixels of RGBA.
pub const PICTURE_MEMORY_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Larger pictures are shrunk to this before the search: rxing's takes time with the fourth power of the side
/// if the picture is tiled with marks, four seconds at this size.
const SIDE_SEARCHED_MAX: u32 = 2048;

/// More marks than this that look like corners and the picture is not a photograph of a code.
const MARKS_MAX: usize = 400;

/// How many combinations of three marks are tried, the closest first.
const CORNERS_MAX: usize = 512;

/// A QR code that holds a message.
#[derive(Clone)]
pub struct QrImage {
    code: QrCode,
}

/// Draws a message as the smallest QR code that holds it.
///
/// The error correction level is L, or the highest that needs no larger code.
///
/// # Errors
/// [`ChannelError::TooLongForQr`] beyond [`PAYLOAD_BYTES_MAX`].
pub fn draw(bytes: &[u8]) -> Result<QrImage, ChannelError> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(ChannelError::TooLongForQr { bytes: bytes.len() });
    }
    QrCode::encode_binary(bytes, QrCodeEcc::Low)
        .map(|code| QrImage { code })
        .map_err(|_| ChannelError::TooLongForQr { bytes: bytes.len() })
}

/// The version alone: the modules are the message.
impl fmt::Debug for QrImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrImage").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl QrImage {
    /// The version of the code, 1 to 40; its side is `17 + 4 * version` modules.
    pub fn version(&self) -> u8 {
        self.code.version().value()
    }

    /// Modules to a side, without the quiet zone.
    pub fn side_modules(&self) -> u32 {
        self.code.size().unsigned_abs()
    }

    /// Whether the module in this column and row is dark. The quiet zone, outside, is light.
    pub fn is_dark(&self, x: i32, y: i32) -> bool {
        self.code.get_module(x, y)
    }

    /// The code as a greyscale PNG with its quiet zone, [`MODULE_PIXELS`] to a module.
    ///
    /// # Errors
    /// [`ChannelError::NotDrawn`] if the encoder fails, which it has no cause to.
    pub fn to_png(&self) -> Result<Vec<u8>, ChannelError> {
        let side = (self.side_modules() + 2 * QUIET_ZONE_MODULES) * MODULE_PIXELS;
        let module = |pixel: u32| (pixel / MODULE_PIXELS) as i32 - QUIET_ZONE_MODULES as i32;
        let picture = GrayImage::from_fn(side, side, |x, y| {
            Luma([if self.is_dark(module(x), module(y)) { 0 } else { 255 }])
        });
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&picture, side, side, ExtendedColorType::L8)
            .map_err(|e| ChannelError::NotDrawn { reason: e.to_string() })?;
        Ok(png)
    }

    /// The code in Unicode half blocks, two modules to a character, for a terminal with light letters on a
    /// dark ground.
    pub fn to_terminal_string(&self) -> String {
        let quiet = QUIET_ZONE_MODULES as i32;
        let end = self.code.size() + quiet;
        let mut text = String::new();
        for y in (-quiet..end).step_by(2) {
            for x in -quiet..end {
                // The last row of an odd height has nothing below it, and nothing is dark on this ground.
                let below_is_dark = y + 1 >= end || self.is_dark(x, y + 1);
                text.push(match (self.is_dark(x, y), below_is_dark) {
                    (true, true) => ' ',
                    (true, false) => '▄',
                    (false, true) => '▀',
                    (false, false) => '█',
                });
            }
            text.push('\n');
        }
        text
    }
}

/// Reads the message from the one QR code in a PNG picture, byte for byte.
///
/// Any PNG colour type and depth is read; what is transparent counts as white.
///
/// # Errors
/// [`ChannelError::NotPng`] and [`ChannelError::PictureTooLarge`] about the file, [`ChannelError::NoCode`],
/// [`ChannelError::Unreadable`], [`ChannelError::SeveralCodes`] and [`ChannelError::PictureTooBusy`] about
/// what is in the picture. The same code twice is not an error.
pub fn read(png: &[u8]) -> Result<Vec<u8>, ChannelError> {
    read_codes(&flatten(decode_png(png)?))
}

fn decode_png(png: &[u8]) -> Result<DynamicImage, ChannelError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(PICTURE_SIDE_MAX);
    limits.max_image_height = Some(PICTURE_SIDE_MAX);
    limits.max_alloc = Some(PICTURE_MEMORY_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    reader.limits(limits);
    reader.decode().map_err(|e| match e {
        ImageError::Limits(_) => ChannelError::PictureTooLarge,
        e => ChannelError::NotPng { reason: e.to_string() },
    })
}

/// Greyscale, with what is transparent turned white: some programs save a code as black on nothing.
fn flatten(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let picture = picture.into_luma_alpha8();
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [light, opaque] = picture.get_pixel(x, y).0.map(u16::from);
        Luma([((light * opaque + 255 * (255 - opaque)) / 255) as u8])
    })
}

fn read_codes(picture: &GrayImage) -> Result<Vec<u8>, ChannelError> {
    let picture = &shrink(picture);
    let mut read: Vec<Vec<u8>> = Vec::new();
    let mut failure = ChannelError::NoCode;
    for threshold in [Threshold::Global, Threshold::Local] {
        // rxing indexes and unwraps on what it found in the picture. No picture is known that makes it panic,
        // but a stranger's picture must not be what ends a wallet. Nothing outlives the call but its answer.
        let found = catch_unwind(|| search(picture, threshold)).unwrap_or_else(|_| {
            Ok(Found { error: Some("the decoder failed".to_owned()), ..Found::default() })
        })?;
        if let Some(reason) = found.error {
            failure = ChannelError::Unreadable { reason };
        }
        for payload in found.payloads {
            if !read.contains(&payload) {
                read.push(payload);
            }
        }
    }
    match read.len() {
        0 => Err(failure),
        1 => Ok(read.remove(0)),
        count => Err(ChannelError::SeveralCodes { count }),
    }
}

fn shrink(picture: &GrayImage) -> Cow<'_, GrayImage> {
    let (w, h) = picture.dimensions();
    let longest = w.max(h);
    if longest <= SIDE_SEARCHED_MAX {
        return Cow::Borrowed(picture);
    }
    // Sides are at most PICTURE_SIDE_MAX, so that the product fits.
    let shrunk = |side: u32| (side * SIDE_SEARCHED_MAX / longest).max(1);
    Cow::Owned(imageops::thumbnail(picture, shrunk(w), shrunk(h)))
}

/// How a picture is made black and white.
#[derive(Clone, Copy, Debug)]
enum Threshold {
    /// One level for the whole picture: best for screens, scans and drawings.
    Global,
    /// A level for what is around each block of pixels: for shadows and gradients, and for blur.
    Local,
}

/// What was read from a picture, and why a code that was seen was not read.
#[derive(Default)]
struct Found {
    payloads: Vec<Vec<u8>>,
    error: Option<String>,
}

fn search(picture: &GrayImage, threshold: Threshold) -> Result<Found, ChannelError> {
    let mut found = Found::default();
    let Ok(picture) = binarize(picture, threshold) else { return Ok(found) };
    let mut marks = detector::FindFinderPatterns(&picture, true, 0);
    if marks.len() > MARKS_MAX {
        return Err(ChannelError::PictureTooBusy);
    }
    let mut used = Vec::new();
    for corners in detector::GenerateFinderPatternSets(&mut marks).into_iter().take(CORNERS_MAX) {
        let marks = [corners.tl, corners.tr, corners.bl];
        if marks.iter().any(|mark| used.contains(mark)) {
            continue;
        }
        let Ok(sampled) = detector::SampleQR(&picture, &corners) else { continue };
        match decode(sampled.getBits()) {
            Ok(payload) => {
                used.extend(marks);
                found.payloads.push(payload);
            }
            Err(e) => found.error = Some(e.to_string()),
        }
    }
    Ok(found)
}

/// Fails on a picture that is all of one colour.
fn binarize(picture: &GrayImage, threshold: Threshold) -> Result<BitMatrix, Exceptions> {
    let source = Luma8Source::new_with_slice(picture.as_raw(), picture.width(), picture.height())?;
    match threshold {
        Threshold::Global => GlobalHistogramBinarizer::new(source).get_black_matrix().cloned(),
        Threshold::Local => HybridBinarizer::new(source).get_black_matrix().cloned(),
    }
}

/// The bytes of all segments, as they stand in the code.
fn decode(modules: &BitMatrix) -> Result<Vec<u8>, Exceptions> {
    let decoded = decoder::Decode(modules)?;
    match decoded.error() {
        None => Ok(decoded.content().bytes().to_vec()),
        Some(e) => Err(e.clone()),
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};
    use proptest::prelude::*;
    use qrcodegen::{QrSegment, Version};

    use super::*;

    fn message(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * i + i / 7) as u8).collect()
    }

    fn drawn(bytes: &[u8]) -> GrayImage {
        image::load_from_memory(&draw(bytes).unwrap().to_png().unwrap()).unwrap().into_luma8()
    }

    fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
        let mut png = Cursor::new(Vec::new());
        picture.into().write_to(&mut png, ImageFormat::Png).unwrap();
        png.into_inner()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_drawn_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..=PAYLOAD_BYTES_MAX)) {
            prop_assert_eq!(read(&draw(&bytes).unwrap().to_png().unwrap()).unwrap(), bytes);
        }
    }

    #[test]
    fn bytes_that_text_would_spoil_come_back() {
        for bytes in [&[][..], &[0], &[0; 64], &[0xff; 64], b"\r\n\0\xef\xbb\xbf", &[0x80, 0xc3, 0x28, 0xfe]]
        {
            assert_eq!(read(&draw(bytes).unwrap().to_png().unwrap()).unwrap(), bytes);
        }
    }

    /// The sizes that the protocol's budget speaks of.
    #[test]
    fn versions_are_the_smallest() {
        for (bytes, version) in [
            (110, 6),
            (186, 8),
            (271, 10),
            (321, 11),
            (367, 12),
            (368, 13),
            (700, 18),
            (1200, 25),
            (2953, 40),
        ] {
            let image = draw(&message(bytes)).unwrap();
            assert_eq!(image.version(), version, "{bytes}");
            assert_eq!(image.side_modules(), 17 + 4 * u32::from(version));
        }
        assert!(matches!(
            draw(&message(PAYLOAD_BYTES_MAX + 1)),
            Err(ChannelError::TooLongForQr { bytes: 2954 })
        ));
        assert_eq!(format!("{:?}", draw(b"secret").unwrap()), "QrImage { version: 1, .. }");
    }

    #[test]
    fn the_largest_code_is_read() {
        let bytes = message(PAYLOAD_BYTES_MAX);
        assert_eq!(read(&draw(&bytes).unwrap().to_png().unwrap()).unwrap(), bytes);
    }

    #[test]
    fn every_kind_of_png_is_read() {
        let bytes = message(120);
        let grey = DynamicImage::from(drawn(&bytes));
        let clear = RgbaImage::from_fn(grey.width(), grey.height(), |x, y| {
            Rgba([0, 0, 0, 255 - grey.as_luma8().unwrap().get_pixel(x, y).0[0]])
        });
        for picture in [
            grey.to_luma16().into(),
            grey.to_luma_alpha8().into(),
            grey.to_luma_alpha16().into(),
            grey.to_rgb8().into(),
            grey.to_rgb16().into(),
            grey.to_rgba8().into(),
            grey.to_rgba16().into(),
            DynamicImage::from(clear),
        ] {
            assert_eq!(read(&png(picture.clone())).unwrap(), bytes, "{:?}", picture.color());
        }
    }

    #[test]
    fn one_bit_and_palette_pngs_are_read() {
        let bytes = message(120);
        let grey = drawn(&bytes);
        let mut rows = Vec::new();
        for row in grey.rows() {
            let light: Vec<bool> = row.map(|p| p.0[0] > 127).collect();
            rows.extend(light.chunks(8).map(|bits| {
                bits.iter().enumerate().fold(0u8, |byte, (i, light)| byte | u8::from(*light) << (7 - i))
            }));
        }
        for colour in [png::ColorType::Grayscale, png::ColorType::Indexed] {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, grey.width(), grey.height());
            encoder.set_color(colour);
            encoder.set_depth(png::BitDepth::One);
            encoder.set_palette(vec![20, 0, 60, 255, 255, 230]);
            encoder.write_header().unwrap().write_image_data(&rows).unwrap();
            assert_eq!(read(&file).unwrap(), bytes, "{colour:?}");
        }
    }

    #[test]
    fn a_shadow_over_the_code_is_seen_through() {
        let bytes = message(350);
        let mut picture = drawn(&bytes);
        let width = picture.width();
        for (x, _, pixel) in picture.enumerate_pixels_mut() {
            pixel.0[0] = (u32::from(pixel.0[0]) * (60 + 195 * x / width) / 255) as u8;
        }
        assert_eq!(read(&png(picture)).unwrap(), bytes);
    }

    #[test]
    fn several_codes_are_refused_and_one_code_twice_is_not() {
        let (one, other) = (drawn(&message(110)), drawn(&message(111)));
        let beside = |second: &GrayImage| {
            let mut both = GrayImage::from_pixel(one.width() * 2 + 40, one.height() + 30, Luma([255]));
            imageops::replace(&mut both, &one, 0, 0);
            imageops::replace(&mut both, second, i64::from(one.width()) + 40, 30);
            read(&png(both))
        };
        assert!(matches!(beside(&other), Err(ChannelError::SeveralCodes { count: 2 })));
        assert_eq!(beside(&one).unwrap(), message(110));
    }

    #[test]
    fn damage_is_told_from_absence() {
        let white = GrayImage::from_pixel(300, 200, Luma([255]));
        assert!(matches!(read(&png(white)), Err(ChannelError::NoCode)));
        for (w, h) in [(1, 1), (1, 500), (500, 1)] {
            assert!(matches!(read(&png(GrayImage::new(w, h))), Err(ChannelError::NoCode)));
        }
        let mut spoiled = drawn(&message(367));
        let middle = spoiled.width() / 4;
        for (x, y) in (middle..3 * middle).flat_map(|x| (middle..3 * middle).map(move |y| (x, y))) {
            spoiled.put_pixel(x, y, Luma([255 * ((x / 8 * 3 + y / 8 * 5) % 2) as u8]));
        }
        assert!(matches!(read(&png(spoiled)), Err(ChannelError::Unreadable { .. })));
        assert!(matches!(read(b"\x89PNG\r\n\x1a\nand no more"), Err(ChannelError::NotPng { .. })));
        assert!(matches!(read(&[]), Err(ChannelError::NotPng { .. })));
    }

    /// The size is in the first chunk: a picture that says it is large is refused without one of its pixels.
    #[test]
    fn large_pictures_are_refused_before_they_are_decoded() {
        for (w, h, colour, large) in [
            (PICTURE_SIDE_MAX + 1, 1, png::ColorType::Grayscale, true),
            (1, u32::MAX >> 1, png::ColorType::Grayscale, true),
            (PICTURE_SIDE_MAX, PICTURE_SIDE_MAX, png::ColorType::Rgb, true),
            (PICTURE_SIDE_MAX, PICTURE_SIDE_MAX / 2, png::ColorType::Rgba, false),
        ] {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, w, h);
            encoder.set_color(colour);
            encoder.set_depth(png::BitDepth::Eight);
            let mut writer = encoder.write_header().unwrap();
            writer.write_chunk(png::chunk::IDAT, &[0x78, 0x01]).unwrap();
            drop(writer);
            let error = read(&file).unwrap_err();
            assert_eq!(matches!(error, ChannelError::PictureTooLarge), large, "{w} x {h}: {error}");
        }
    }

    /// A picture tiled with corner marks, the case that is quadratic for a careless reader.
    #[test]
    fn a_picture_full_of_corner_marks_ends() {
        let tiled = |pitch: u32, side: u32| {
            GrayImage::from_fn(side, side, |x, y| {
                let from_middle = |n: u32| (n % pitch).abs_diff(4);
                Luma([match from_middle(x).max(from_middle(y)) {
                    0 | 1 | 3 => 0,
                    _ => 255,
                }])
            })
        };
        assert!(matches!(read(&png(tiled(9, 1000))), Err(ChannelError::PictureTooBusy)));
        assert!(read(&png(tiled(40, 700))).is_err());
    }

    fn noise(seed: u64) -> impl FnMut() -> u8 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        }
    }

    fn modules(code: &QrCode) -> BitMatrix {
        let side = code.size() as u32;
        let mut modules = BitMatrix::new(side, side).unwrap();
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
            modules.set_bool(x, y, code.get_module(x as i32, y as i32));
        }
        modules
    }

    /// Whatever a well-formed code says, rxing answers: every segment mode, every length field.
    #[test]
    fn codes_that_say_nonsense_are_answered() {
        for round in 0..1000 {
            let (version, codewords) = [(1, 19), (10, 274), (27, 1468)][round % 3];
            let mut byte = noise(round as u64);
            let mut data: Vec<u8> = (0..codewords).map(|_| byte()).collect();
            // The first half is of one mode each, ECI and FNC1 among them.
            if round < 500 {
                data[0] = (round as u8 / 3) << 4 | data[0] & 0x0f;
            }
            let code = QrCode::encode_codewords(Version::new(version), QrCodeEcc::Low, &data, None);
            let _ = decode(&modules(&code));
        }
    }

    /// Other programs split a payload into segments of several modes; the bytes are the same.
    #[test]
    fn segments_are_joined() {
        let parts: [&[u8]; 4] = [b"\xef\xbb\xbf\0\xff", b"0012345", b"AB%%C:/", b"\xc3\x28\xfe\0"];
        let segments = [
            QrSegment::make_bytes(parts[0]),
            QrSegment::make_numeric("0012345"),
            QrSegment::make_alphanumeric("AB%%C:/"),
            QrSegment::make_bytes(parts[3]),
        ];
        let code = QrCode::encode_segments(&segments, QrCodeEcc::Low).unwrap();
        assert_eq!(read(&QrImage { code }.to_png().unwrap()).unwrap(), parts.concat());
    }

    #[test]
    fn hostile_pictures_are_answered() {
        for seed in 0..60 {
            let mut byte = noise(seed);
            let cell = [1, 2, 3, 5][seed as usize % 4];
            let cells: Vec<u8> = (0..200 * 200).map(|_| byte()).collect();
            let light = |x: u32, y: u32| cells[(y / cell * 200 + x / cell) as usize];
            assert!(read(&png(GrayImage::from_fn(200, 200, |x, y| Luma([light(x, y)])))).is_err());
            // A code with noise over a part of it, cut off somewhere.
            let mut spoiled = drawn(&message(300));
            let side = spoiled.width();
            for (x, y) in (0..200).flat_map(|x| (0..200).map(move |y| (x, y))) {
                spoiled.put_pixel(x + seed as u32 % 7 * 40, y + seed as u32 % 5 * 40, Luma([light(x, y)]));
            }
            let cut = imageops::crop_imm(&spoiled, 0, 0, side - seed as u32 * 5, side - seed as u32 * 3);
            let _ = read(&png(cut.to_image()));
        }
        for level in [0, 255] {
            let flat = GrayImage::from_pixel(PICTURE_SIDE_MAX, PICTURE_SIDE_MAX / 8, Luma([level]));
            assert!(matches!(read(&png(flat)), Err(ChannelError::NoCode)));
        }
    }

    #[test]
    fn the_terminal_shows_the_same_code() {
        let bytes = message(186);
        let text = draw(&bytes).unwrap().to_terminal_string();
        let mut modules: Vec<Vec<bool>> = Vec::new();
        for line in text.lines() {
            modules.push(line.chars().map(|c| "▄ ".contains(c)).collect());
            modules.push(line.chars().map(|c| "▀ ".contains(c)).collect());
        }
        let side = modules[0].len() as u32 * 4;
        let picture = GrayImage::from_fn(side, side, |x, y| {
            Luma([255 * u8::from(!modules[y as usize / 4][x as usize / 4])])
        });
        assert_eq!(read(&png(picture)).unwrap(), bytes);
    }
}
