//! Where files go when they are old, and how much of that stays here.

use crate::file::CHUNK;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What stands before the name of a bucket.
pub(super) const S3: &str = "s3://";
/// What may stand before a folder.
const FILE: &str = "file://";
/// The least that S3 takes as a part of an upload.
const PART_BYTES_MIN: u64 = 5 << 20;

/// The cold tier: a place for files of days that are over. The local ones are a cache of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The place: a folder (`/mnt/archive`, `file:///mnt/archive`), or `s3://bucket/prefix`. One place is of one folder of
    /// events. Empty: all files stay where they are. Default empty.
    pub url: String,
    /// A file of a day that is over goes there when its newest row is older than so many hours. Default 48.
    pub after_hours: u32,
    /// The address of a server that speaks S3, as `https://minio.example:9000`. Default empty: that of AWS.
    pub endpoint: String,
    /// The region of the bucket. Default `us-east-1`.
    pub region: String,
    /// The environment variable with the id of the key. Default `AWS_ACCESS_KEY_ID`.
    pub access_key_env: String,
    /// The environment variable with the secret of the key. Default `AWS_SECRET_ACCESS_KEY`.
    pub secret_key_env: String,
    /// A file with the lines `aws_access_key_id = …` and `aws_secret_access_key = …`, as AWS's own programs write it; the
    /// first of each counts. It is read where the environment has no key. Default empty.
    pub credentials_file: PathBuf,
    /// Whether `endpoint` may be `http://`, which anyone between can read. Default false.
    pub allow_http: bool,
    /// Local copies of files that are there take at most so many bytes; those that were read longest ago go first. What is
    /// being read comes on top of it; one query in SQL reads no more than so much of them. Default 2,147,483,648 (2 GiB).
    pub cache_bytes: u64,
    /// Files of more bytes than this go to S3 in parts of so many, at least 5,242,880; after a break the parts that came
    /// are not sent again. Default 8,388,608 (8 MiB).
    pub part_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::new(),
            after_hours: 48,
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            access_key_env: "AWS_ACCESS_KEY_ID".to_owned(),
            secret_key_env: "AWS_SECRET_ACCESS_KEY".to_owned(),
            credentials_file: PathBuf::new(),
            allow_http: false,
            cache_bytes: 2 << 30,
            part_bytes: 8 << 20,
        }
    }
}

impl Config {
    /// What is wrong with the values, each as `key: why`.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.url.is_empty() {
            return faults;
        }
        match self.bucket() {
            Some(("", _)) => faults.push("url: names no bucket".to_owned()),
            None if !self.folder().is_absolute() => {
                faults.push("url: must be `s3://bucket/prefix` or a folder from the root".to_owned());
            }
            _ => {}
        }
        if self.endpoint.starts_with("http://") && !self.allow_http {
            faults.push("endpoint: is http:// and allow_http is false".to_owned());
        }
        if self.part_bytes < PART_BYTES_MIN {
            faults.push(format!("part_bytes: must be at least {PART_BYTES_MIN}"));
        }
        faults
    }

    /// Bucket and prefix, where it is one.
    pub(super) fn bucket(&self) -> Option<(&str, &str)> {
        let rest = self.url.strip_prefix(S3)?;
        Some(rest.split_once('/').map_or((rest, ""), |(bucket, prefix)| (bucket, prefix.trim_matches('/'))))
    }

    /// The folder, where it is one.
    pub(super) fn folder(&self) -> PathBuf {
        self.url.strip_prefix(FILE).unwrap_or(&self.url).into()
    }

    /// How many bytes a part has; checksums are of whole parts.
    pub(super) fn part(&self) -> u64 {
        self.part_bytes.next_multiple_of(CHUNK).max(CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_place_nothing_is_wrong_and_each_bad_value_is_named() {
        assert_eq!(Config::default().faults(), [""; 0]);
        let with = |url: &str| Config { url: url.to_owned(), ..Config::default() };
        for url in ["s3://bucket", "s3://bucket/a/b/", "/mnt/archive", "file:///mnt/archive"] {
            assert_eq!(with(url).faults(), [""; 0], "{url}");
        }
        for url in ["s3://", "s3:///prefix", "archive", "https://somewhere", "file://archive"] {
            assert_eq!(with(url).faults().len(), 1, "{url}");
        }
        let plain = Config { endpoint: "http://127.0.0.1:9000".to_owned(), part_bytes: 1, ..with("s3://b") };
        assert_eq!(plain.faults().len(), 2);
        assert_eq!(with("s3://bucket/a/b/").bucket(), Some(("bucket", "a/b")));
        assert_eq!(with("file:///mnt/archive").folder(), PathBuf::from("/mnt/archive"));
    }
}
