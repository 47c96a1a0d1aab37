//! Messages as QR codes: drawn from bytes, read from pictures.
//!
//! The payload is one byte-mode segment that holds the message itself. Text encodings such as base64 would
//! cost a third more, and the version of a code, hence how well a poor camera reads it, is decided by its
//! length.
//!
//! The reader is for pictures that strangers made. Before anything is allocated the picture's size is
//! checked, and the search in it does an amount of work that depends on that size alone.

use std::fmt;
use std::io::Cursor;

use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
    Luma, codecs::png::PngEncoder,
};
use qrcodegen::{QrCode, QrCodeEcc};
use rqrr::{Grid, SimpleGrid};

use super::ChannelError;
use super::locate::{Modules, Picture, Threshold};

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

/// Shares of its neighbours that blur may have added to a module: none, and as a Gaussian of about 0.4 and
/// 0.5 modules does.
const SHARPENINGS: [f32; 3] = [0.0, 0.12, 0.2];

fn read_codes(picture: &GrayImage) -> Result<Vec<u8>, ChannelError> {
    let mut failure = ChannelError::NoCode;
    for threshold in [Threshold::Global, Threshold::Local] {
        let picture = Picture::new(picture, threshold);
        let Ok(all_corners) = picture.corners() else {
            failure = ChannelError::PictureTooBusy;
            continue;
        };
        let mut read: Vec<Vec<u8>> = Vec::new();
        let mut used: Vec<usize> = Vec::new();
        for corners in all_corners {
            if corners.marks.iter().any(|m| used.contains(m)) {
                continue;
            }
            match picture.modules(&corners).iter().map(decode).reduce(Result::or) {
                Some(Ok(payload)) => {
                    used.extend(corners.marks);
                    if !read.contains(&payload) {
                        read.push(payload);
                    }
                }
                Some(Err(e)) => failure = ChannelError::Unreadable { reason: e.to_string() },
                None => {}
            }
        }
        match read.len() {
            0 => {}
            1 => return Ok(read.remove(0)),
            count => return Err(ChannelError::SeveralCodes { count }),
        }
    }
    Err(failure)
}

/// rqrr corrects errors and unpacks; a byte segment comes out as the bytes that it holds.
fn decode(modules: &Modules) -> Result<Vec<u8>, rqrr::DeQRError> {
    let attempt = |sharpen| {
        let grid = SimpleGrid::from_func(modules.side(), |x, y| modules.is_dark(x, y, sharpen));
        let mut payload = Vec::new();
        Grid::new(grid).decode_to(&mut payload).map(|_| payload)
    };
    let [first, others @ ..] = SHARPENINGS;
    others.iter().fold(attempt(first), |read, &sharpen| read.or_else(|_| attempt(sharpen)))
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage, imageops};
    use proptest::prelude::*;
    use qrcodegen::Version;

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

    /// Whatever a well-formed code says, rqrr answers: every segment mode, every length field.
    #[test]
    fn codes_that_say_nonsense_are_answered() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..200 {
            let (version, codewords) = [(1, 19), (10, 274), (27, 1468)][round % 3];
            let data: Vec<u8> = (0..codewords)
                .map(|_| {
                    seed =
                        seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (seed >> 56) as u8
                })
                .collect();
            let code = QrCode::encode_codewords(Version::new(version), QrCodeEcc::Low, &data, None);
            let grid =
                SimpleGrid::from_func(code.size() as usize, |x, y| code.get_module(x as i32, y as i32));
            let _ = Grid::new(grid).decode_to(&mut Vec::new());
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
