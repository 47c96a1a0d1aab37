//! The operator's list of images of the trusted application: a wallet enrols in one that stands on it.

use counterfoil_wire::Digest;
use serde::Serialize;

use super::Service;
use crate::error::Refusal;
use crate::store::{Batch, ListedImage, Store};

/// One image on the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// SHA-256 of the image, in hex.
    pub image: String,
    /// Its version.
    pub version: u32,
    /// When it was listed, seconds since 1970.
    pub listed_at_s: u32,
    /// When it was withdrawn, seconds since 1970, if it was.
    pub withdrawn_at_s: Option<u32>,
}

fn listing(image: ListedImage) -> Batch {
    Batch { images: vec![image], ..Batch::default() }
}

impl Service {
    /// Every image that was ever listed, oldest first.
    ///
    /// # Errors
    /// [`Refusal::Store`], [`Refusal::System`]; so in all methods here.
    pub fn images(&self) -> Result<Vec<ImageReport>, Refusal> {
        let listed = self.exclusively(|desk| Ok(desk.store.images()?))?;
        let report = |image: ListedImage| ImageReport {
            image: image.hash.to_string(),
            version: image.version,
            listed_at_s: image.listed_at_s,
            withdrawn_at_s: (image.withdrawn_at_s > 0).then_some(image.withdrawn_at_s),
        };
        Ok(listed.into_iter().map(report).collect())
    }

    /// Lets wallets enrol in the image `hash` of this version. One that was withdrawn stands again.
    pub fn allow_image(&self, hash: Digest, version: u32) -> Result<(), Refusal> {
        let image = ListedImage { hash, version, listed_at_s: self.now_s(), withdrawn_at_s: 0 };
        self.exclusively(|desk| Ok(desk.store.commit(&listing(image))?))
    }

    /// Lets no more wallet enrol in the image `hash`. Wallets that did go on: their certificates end, and a statement does
    /// not tell in what it was made. `false` if the image is not on the list.
    pub fn withdraw_image(&self, hash: Digest) -> Result<bool, Refusal> {
        let now_s = self.now_s().max(1);
        self.exclusively(|desk| {
            let images = desk.store.images()?;
            let Some(image) = images.into_iter().find(|image| image.hash == hash) else { return Ok(false) };
            let withdrawn_at_s = if image.withdrawn_at_s > 0 { image.withdrawn_at_s } else { now_s };
            desk.store.commit(&listing(ListedImage { withdrawn_at_s, ..image }))?;
            Ok(true)
        })
    }

    /// Whether a wallet may enrol in this image. Natively one runs in a sandbox alone, where it says that it does.
    pub(super) fn is_allowed(&self, store: &dyn Store, hash: Digest, version: u32) -> Result<bool, Refusal> {
        if hash == Digest::NONE {
            return Ok(self.scheme.sandbox && version == 0);
        }
        let stands =
            |image: &ListedImage| (image.hash, image.version, image.withdrawn_at_s) == (hash, version, 0);
        Ok(store.images()?.iter().any(stands))
    }
}
