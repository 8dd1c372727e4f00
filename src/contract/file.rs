//! Files that ZITADEL shows and that specs name: where they come from, and what they have to be.
//! Among the fields a file stands as what tells it from others. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{SpecError, connection::ValueSource};
use crate::{
    api::source::FileSource,
    zitadel::file::{File, LARGEST_FILE},
};

/// What a field says where there is no file.
pub const NO_FILE: &str = "none";

/// A field that is a file.
#[derive(Debug, Clone, Copy)]
pub struct FileInput {
    /// The field: of the spec, where it says where the file is, and of the state.
    pub field: &'static str,
    /// How its media type begins, such as `image/`.
    pub media_type: &'static str,
    /// What may be used, for messages.
    pub formats: &'static str,
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOrigin {
    /// In a ConfigMap.
    ConfigMap(ValueSource),
    /// In a Secret.
    Secret(ValueSource),
}

impl FileOrigin {
    /// The object and the key.
    pub fn source(&self) -> &ValueSource {
        match self {
            Self::ConfigMap(source) | Self::Secret(source) => source,
        }
    }

    /// The kind of the object.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ConfigMap(_) => "ConfigMap",
            Self::Secret(_) => "Secret",
        }
    }
}

impl FileInput {
    /// Where a spec says that the file is; `None`: the field is omitted, or says that there is none.
    pub fn read(&self, spec: &Value) -> Result<Option<FileOrigin>, SpecError> {
        let Some(found) = spec.get(self.field).filter(|found| !found.is_null()) else {
            return Ok(None);
        };
        let read: Result<FileSource, _> = serde_json::from_value(found.clone());
        let read = read.map_err(|e| SpecError::new(self.field, e.to_string()))?;
        match (read.config_map_ref, read.secret_ref, read.none == Some(true)) {
            (Some(r), None, false) => Ok(Some(FileOrigin::ConfigMap(r.into()))),
            (None, Some(r), false) => Ok(Some(FileOrigin::Secret(r.into()))),
            (None, None, true) => Ok(None),
            _ => Err(SpecError::new(
                self.field,
                "set exactly one of configMapRef, secretRef, none: true",
            )),
        }
    }

    /// What is declared, as the state has it; `None`: the field is omitted, or the file was not
    /// read, as offline.
    pub fn declared(&self, source: Option<&FileSource>, files: &Files) -> Option<String> {
        match source? {
            FileSource { none: Some(true), .. } => Some(NO_FILE.to_owned()),
            _ => files.get(self.field).map(File::fingerprint),
        }
    }

    /// Whether ZITADEL takes this file here.
    pub fn check(&self, file: &File) -> Result<(), SpecError> {
        let refuse = |what: String| Err(SpecError::new(self.field, what));
        let size = file.bytes().len();
        if size > LARGEST_FILE {
            return refuse(format!(
                "the file has {size} bytes, and ZITADEL takes at most {LARGEST_FILE}"
            ));
        }
        match file.media_type() {
            Some(found) if found.starts_with(self.media_type) => {}
            found => {
                let is = found.unwrap_or("of a format that is not known");
                return refuse(format!("the file has to be {}; it is {is}", self.formats));
            }
        }
        if file.holds_exif() {
            return refuse(
                "the picture holds EXIF data, which ZITADEL may take out of it: remove them first"
                    .into(),
            );
        }
        Ok(())
    }
}

/// The files that a spec names, by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<&'static str, File>);

impl Files {
    /// The file of a field.
    pub fn get(&self, field: &str) -> Option<&File> {
        self.0.get(field)
    }

    /// The fingerprint of each, by field.
    pub fn fingerprints(&self) -> BTreeMap<String, String> {
        let all = self.0.iter();
        all.map(|(field, file)| ((*field).to_owned(), file.fingerprint().clone())).collect()
    }

    /// Adds the file of a field.
    pub fn insert(&mut self, field: &'static str, file: File) {
        self.0.insert(field, file);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LOGO: FileInput = FileInput { field: "logo", media_type: "image/", formats: "a picture" };

    #[test]
    fn a_spec_says_where_a_file_is_or_that_there_is_none() {
        let read = |logo: Value| LOGO.read(&json!({"logo": logo})).map_err(|e| e.to_string());
        let reference = json!({"name": "brand", "key": "logo.svg"});
        let source = ValueSource { name: "brand".into(), key: "logo.svg".into() };
        let found = read(json!({"configMapRef": reference}));
        assert_eq!(found, Ok(Some(FileOrigin::ConfigMap(source.clone()))));
        assert_eq!(read(json!({"secretRef": reference})), Ok(Some(FileOrigin::Secret(source))));
        assert_eq!(read(json!({"none": true})), Ok(None));
        assert_eq!(LOGO.read(&json!({})).ok(), Some(None));
        for odd in [
            json!({}),
            json!({"none": false}),
            json!({"none": true, "configMapRef": reference}),
            json!({"secretRef": reference, "configMapRef": reference}),
        ] {
            assert!(read(odd.clone()).is_err_and(|e| e.contains("spec.logo")), "{odd}");
        }
    }

    #[test]
    fn a_file_is_refused_that_zitadel_would_not_take() {
        let check = |bytes: &[u8]| LOGO.check(&File::new(bytes)).map_err(|e| e.to_string());
        assert_eq!(check(b"GIF89a"), Ok(()));
        let large = [&b"GIF89a"[..], &vec![0; LARGEST_FILE]].concat();
        assert!(check(&large).is_err_and(|e| e.contains("524294 bytes")));
        assert!(check(b"wOFF").is_err_and(|e| e.contains("a picture; it is font/woff")));
        assert!(check(b"s3cret").is_err_and(|e| !e.contains("s3cret")));
        assert!(check(b"\xff\xd8\xff\xe1Exif\0\0").is_err_and(|e| e.contains("EXIF")));
    }
}
