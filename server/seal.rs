//! What a client is given to bring back: signed, so that it can be believed, and good for a while.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use rmcp::model::{RequestStateCodec, SealOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Signs and checks. Whoever holds the key of the store can do both.
pub(crate) struct Seals(RequestStateCodec);

/// The key's file in the data folder; every process on it signs alike.
const FILE: &str = "seal.key";
/// Bytes of the key.
pub(crate) const KEY_BYTES: usize = 32;

impl Seals {
    /// Signs with this key.
    pub(crate) fn new(key: [u8; KEY_BYTES]) -> Seals {
        Seals(RequestStateCodec::new_unchecked(key))
    }

    /// Signs with the key of a data folder; a folder without one gets `fresh`.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or holds no key.
    pub(crate) fn kept_in(folder: &Path, fresh: [u8; KEY_BYTES]) -> io::Result<Seals> {
        let path = folder.join(FILE);
        if !path.exists() {
            make(folder, &path, fresh)?;
        }
        let key = fs::read(&path)?;
        let key = key.try_into().map_err(|_| {
            let told = format!("{} holds no key of {KEY_BYTES} bytes; remove it", path.display());
            io::Error::new(io::ErrorKind::InvalidData, told)
        })?;
        Ok(Seals::new(key))
    }

    /// Signs a value that only comes back where it is bound to the same, and only for so long.
    /// `None` for a value that has no JSON.
    pub(crate) fn seal(
        &self,
        value: &impl Serialize,
        bound_to: &str,
        good_for: Duration,
    ) -> Option<String> {
        let options = SealOptions::new().associated_data(bound_to.as_bytes()).ttl(good_for);
        self.0.seal_json_with(value, &options).ok()
    }

    /// The value, if we signed it, for this, and not too long ago; else what is wrong with it.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        sealed: &str,
        bound_to: &str,
    ) -> Result<T, String> {
        self.0.open_json_with(sealed, bound_to.as_bytes()).map_err(|error| error.to_string())
    }
}

/// Makes the file as a whole, or leaves the one that another process made meanwhile.
fn make(folder: &Path, path: &Path, key: [u8; KEY_BYTES]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let draft = folder.join(format!("{FILE}.{}", std::process::id()));
    let mut file = options.open(&draft)?;
    let made = file.write_all(&key).and_then(|()| file.sync_all());
    let made = made.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    });
    fs::remove_file(&draft)?;
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn only_what_we_signed_for_the_same_comes_back() {
        let seals = Seals::new([7; KEY_BYTES]);
        let sealed = seals.seal(&"r_a", "ann", LONG).expect("it has JSON");
        assert_eq!(seals.open::<String>(&sealed, "ann"), Ok("r_a".to_owned()));
        assert!(seals.open::<String>(&sealed, "ben").is_err());
        assert!(Seals::new([8; KEY_BYTES]).open::<String>(&sealed, "ann").is_err());
        let late = seals.seal(&"r_a", "ann", Duration::ZERO).expect("it has JSON");
        std::thread::sleep(Duration::from_millis(5));
        assert!(seals.open::<String>(&late, "ann").is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone().into_bytes();
            damaged[at] ^= 1;
            let Ok(damaged) = String::from_utf8(damaged) else { continue };
            assert!(seals.open::<String>(&damaged, "ann").is_err(), "{at}");
            assert!(seals.open::<String>(&sealed[..at], "ann").is_err(), "{at}");
        }
    }

    #[test]
    fn a_folder_has_one_key_that_nobody_else_can_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Seals::kept_in(folder.path(), [1; KEY_BYTES]).expect("made");
        let second = Seals::kept_in(folder.path(), [2; KEY_BYTES]).expect("read");
        let sealed = first.seal(&1, "x", LONG).expect("it has JSON");
        assert_eq!(second.open::<u8>(&sealed, "x"), Ok(1));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(FILE)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(folder.path().join(FILE), "short").expect("written");
        let error = Seals::kept_in(folder.path(), [1; KEY_BYTES]).err().expect("no key");
        assert!(error.to_string().contains("holds no key of 32 bytes"), "{error}");
    }
}
