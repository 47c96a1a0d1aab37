//! Messages as QR codes: drawn from bytes, read from pictures.
//!
//! The payload is one byte-mode segment that holds the message itself. Text encodings such as base64 would cost a third
//! more, and the version of a code, hence how well a poor camera reads it, is decided by its length.
//!
//! The reader is for pictures that strangers made. Before anything is allocated the picture's size is checked, and the
//! search in it has a budget (see [`Scan`]): the detector underneath is quadratic and worse in the number of corner
//! marks, and has assertions that a crafted picture can reach.

use std::cell::Cell;
use std::fmt;
use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use image::{
    DynamicImage, ExtendedColorType, GenericImage, GenericImageView, GrayImage, ImageEncoder, ImageError,
    ImageFormat, ImageReader, Limits, Luma, codecs::png::PngEncoder,
};
use qrcodegen::{QrCode, QrCodeEcc};
use rqrr::PreparedImage;

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

    /// The code in Unicode half blocks, two modules to a character, for a terminal with light letters on a dark ground.
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
/// [`ChannelError::Unreadable`], [`ChannelError::SeveralCodes`] and [`ChannelError::PictureTooBusy`] about what is in
/// the picture. The same code twice is not an error.
pub fn read(png: &[u8]) -> Result<Vec<u8>, ChannelError> {
    read_codes(flatten(decode_png(png)?))
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

/// What one look at a picture found.
enum Sight {
    Nothing,
    Unreadable(rqrr::DeQRError),
    Read(Vec<Vec<u8>>),
    TooBusy,
}

fn read_codes(picture: GrayImage) -> Result<Vec<u8>, ChannelError> {
    match look(picture) {
        Sight::Nothing => Err(ChannelError::NoCode),
        Sight::TooBusy => Err(ChannelError::PictureTooBusy),
        Sight::Unreadable(e) => Err(ChannelError::Unreadable { reason: e.to_string() }),
        Sight::Read(mut v) if v.len() == 1 => Ok(v.remove(0)),
        Sight::Read(v) => Err(ChannelError::SeveralCodes { count: v.len() }),
    }
}

fn look(picture: GrayImage) -> Sight {
    let overspent = Rc::new(Cell::new(false));
    let scan = Scan::new(picture);
    let found = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut prepared = PreparedImage::prepare(scan);
        let mut read: Vec<Vec<u8>> = Vec::new();
        let mut failure = None;
        for grid in prepared.detect_grids() {
            let mut payload = Vec::new();
            match grid.decode_to(&mut payload) {
                Ok(_) if read.contains(&payload) => {}
                Ok(_) => read.push(payload),
                Err(e) => failure = Some(e),
            }
        }
        if !read.is_empty() {
            return Sight::Read(read);
        }
        failure.map_or(Sight::Nothing, Sight::Unreadable)
    }));
    match found {
        Ok(sight) => sight,
        Err(_) if overspent.get() => Sight::TooBusy,
        Err(_) => Sight::Nothing,
    }
}

#[derive(Clone)]
struct Scan {
    picture: GrayImage,
    work: Rc<Cell<u64>>,
    marks: Rc<Cell<u64>>,
    last: u8,
}
impl Scan {
    fn new(picture: GrayImage) -> Self {
        Scan { picture, work: Default::default(), marks: Default::default(), last: 0 }
    }
}
impl Drop for Scan {
    fn drop(&mut self) {
        if std::env::var_os("QRDBG").is_some() {
            eprintln!(
                "work {} px {} ratio {} marks {}",
                self.work.get(),
                self.picture.len(),
                self.work.get() as f64 / self.picture.len() as f64,
                self.marks.get()
            );
        }
    }
}
impl GenericImageView for Scan {
    type Pixel = Luma<u8>;
    fn dimensions(&self) -> (u32, u32) {
        self.work.set(self.work.get() + 1);
        self.picture.dimensions()
    }
    fn get_pixel(&self, x: u32, y: u32) -> Luma<u8> {
        self.work.set(self.work.get() + 1);
        *self.picture.get_pixel(x, y)
    }
}
impl GenericImage for Scan {
    fn get_pixel_mut(&mut self, x: u32, y: u32) -> &mut Luma<u8> {
        self.picture.get_pixel_mut(x, y)
    }
    fn put_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.work.set(self.work.get() + 1);
        if self.last == 4 && pixel.0[0] == 2 {
            self.marks.set(self.marks.get() + 1);
        }
        self.last = pixel.0[0];
        self.picture.put_pixel(x, y, pixel);
    }
    fn blend_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.put_pixel(x, y, pixel);
    }
}
