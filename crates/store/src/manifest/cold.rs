//! What the catalogue knows of the cold tier: its place, which files it has, and what may stand there beside them.

use super::{Base, FileMeta, Manifest, State};
use crate::Result;
use crate::code::{Code, record};
use crate::cold::{Config, Upload};
use crate::copy::lasting_name;
use std::sync::Arc;

/// What a transaction changes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cooling {
    /// The place is this one now.
    pub place: Option<Config>,
    /// These files are not there.
    pub not_there: Vec<u64>,
    /// These files are there, every byte held against its checksum.
    pub there: Vec<u64>,
    /// How far the upload of an object came; `None`: nothing stands under that name.
    pub upload: Option<(Box<str>, Option<Upload>)>,
}

record! {
    Upload { id, part_bytes, parts }
    Cooling { place, not_there, there, upload }
}

/// As the text of its fields, by their names.
impl Code for Config {
    fn put(&self, out: &mut Vec<u8>) {
        let text = serde_json::to_string(self).unwrap_or_default();
        Box::<str>::from(text).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        serde_json::from_str(&Box::<str>::take(bytes)?).ok()
    }
}

impl State {
    /// A file is no longer named: where the cold tier has it, that is to go.
    pub(super) fn warmed(&mut self, file: &FileMeta) {
        if self.cold.remove(&file.id) {
            self.uploads.insert(lasting_name(file).into(), Upload::default());
        }
    }

    pub(super) fn cooled(&mut self, change: Cooling) {
        let Cooling { place, not_there, there, upload } = change;
        for id in not_there {
            self.cold.remove(&id);
        }
        // One that was merged meanwhile is still to go.
        for file in there.iter().filter_map(|id| self.files.get(id)) {
            self.uploads.remove(&*lasting_name(file));
            self.cold.insert(file.id);
        }
        if let Some((key, upload)) = upload {
            match upload {
                Some(upload) => self.uploads.insert(key, upload),
                None => self.uploads.remove(&key),
            };
        }
        if let Some(place) = place {
            self.place = Some(Arc::new(place));
        }
    }

    /// As if there had never been a cold tier.
    pub(super) fn forget_cold(&mut self) {
        (self.cold, self.place, self.uploads) = <_>::default();
    }

    pub(super) fn put_cold(&self, out: &mut Vec<u8>) {
        self.cold.iter().copied().collect::<Vec<u64>>().put(out);
        self.place.as_deref().cloned().put(out);
        self.uploads.clone().into_iter().collect::<Vec<_>>().put(out);
    }

    pub(super) fn take_cold(&mut self, bytes: &mut &[u8]) -> Option<()> {
        // Catalogues were written before there was a cold tier.
        if !bytes.is_empty() {
            self.cold = Vec::<u64>::take(bytes)?.into_iter().collect();
            self.place = <Option<Config> as Code>::take(bytes)?.map(Arc::new);
            self.uploads = Vec::<(Box<str>, Upload)>::take(bytes)?.into_iter().collect();
        }
        Some(())
    }
}

impl Manifest {
    /// Whether a file stands in the cold tier, as far as any process knows.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn is_cold(&self, file: u64) -> Result<bool> {
        if !self.state().cold.contains(&file) && matches!(&*self.base(), Base::Read(_)) {
            self.refresh()?;
        }
        Ok(self.state().cold.contains(&file))
    }
}
