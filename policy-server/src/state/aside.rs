//! Sets a file aside under a name that tells when.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

/// Renames a file to `NAME.damaged-20261231T235959Z`, in its folder.
pub(super) fn set_aside(file: &Path, now: SystemTime) -> io::Result<PathBuf> {
    let moment = OffsetDateTime::from(now);
    let stamp = format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    );
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".damaged-{stamp}"));
    let mut aside = file.with_file_name(&name);
    // Two in one second; the lock on the folder sees to it that nobody else takes the name.
    let mut again = 2;
    while fs::symlink_metadata(&aside).is_ok() {
        let mut name = name.clone();
        name.push(format!("-{again}"));
        aside = file.with_file_name(name);
        again += 1;
    }
    fs::rename(file, &aside)?;
    sync_folder(file)?;
    Ok(aside)
}

/// Waits until the names in the folder of a file are on disk.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
