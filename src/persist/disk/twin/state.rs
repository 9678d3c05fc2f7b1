//! A disk at one moment: what is seen, and what lasts.
//!
//! Names and bytes last independently of each other. A change of a name is pending until its folder is synced (of two
//! folders: either), the change of a file's bytes until a sync covers it. Bytes become durable in order; names in any.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::fate::Fate;
use super::{Facts, Op};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(u64),
    Folder,
}

type Names = BTreeMap<PathBuf, Node>;

/// A change of names that is seen but may not last: all of it, or nothing.
#[derive(Debug, Clone)]
struct NameChange {
    folders: Vec<PathBuf>,
    sets: Vec<(PathBuf, Option<Node>)>,
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        for (path, node) in &self.sets {
            match node {
                Some(node) => drop(names.insert(path.clone(), *node)),
                None => drop(names.remove(path)),
            }
        }
    }
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
enum DataChange {
    Write(std::sync::Arc<[u8]>),
    /// A write whose bytes have been lost: zeros.
    Lost(usize),
    SetLen(u64),
}

impl DataChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            DataChange::Write(more) => bytes.extend_from_slice(more),
            DataChange::Lost(count) => bytes.resize(bytes.len() + count, 0),
            DataChange::SetLen(len) => bytes.truncate(*len as usize),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    visible: Vec<u8>,
    lasting: Vec<u8>,
    pending: Vec<DataChange>,
    /// Changes there were in all.
    written: u64,
}

impl Inode {
    fn change(&mut self, change: DataChange) {
        change.apply(&mut self.visible);
        self.pending.push(change);
        self.written += 1;
    }

    /// The first `covered` changes there ever were last.
    fn sync(&mut self, covered: u64) {
        let first_pending = self.written - self.pending.len() as u64;
        let count = covered.saturating_sub(first_pending) as usize;
        for change in self.pending.drain(..count) {
            change.apply(&mut self.lasting);
        }
    }

    fn fail_sync(&mut self) {
        for change in &mut self.pending {
            if let DataChange::Write(bytes) = change {
                *change = DataChange::Lost(bytes.len());
            }
        }
    }

    /// What is left of it.
    fn crashed(&self, fate: &mut Fate) -> Vec<u8> {
        let mut bytes = self.lasting.clone();
        let kept = fate.kept(self.pending.len());
        for change in &self.pending[..kept] {
            change.apply(&mut bytes);
        }
        if let Some(DataChange::Write(torn)) = self.pending.get(kept) {
            let (part, zeros) = fate.torn(torn.len());
            bytes.extend_from_slice(&torn[..part]);
            bytes.resize(bytes.len() + zeros, 0);
        }
        bytes
    }
}

/// What is found after a loss of power: files with their bytes, folders with `None`.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A disk.
#[derive(Debug, Clone, Default)]
pub struct State {
    visible: Names,
    lasting: Names,
    pending: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
}

fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

fn folder_of(path: &Path) -> PathBuf {
    plain(path).parent().map(Path::to_owned).unwrap_or_default()
}

impl State {
    /// A disk with these files, all of which last.
    pub fn of_image(image: &Image) -> State {
        let mut state = State::default();
        for (number, (path, bytes)) in (1..).zip(image) {
            let node = bytes.as_ref().map_or(Node::Folder, |bytes| {
                let inode = Inode {
                    visible: bytes.clone(),
                    lasting: bytes.clone(),
                    ..Inode::default()
                };
                state.inodes.insert(number, inode);
                Node::File(number)
            });
            state.visible.insert(path.clone(), node);
        }
        state.lasting = state.visible.clone();
        state
    }

    /// The highest number of a file.
    pub(super) fn inodes_used(&self) -> u64 {
        self.inodes.keys().next_back().copied().unwrap_or(0)
    }

    /// Changes of each file's bytes so far.
    pub(super) fn written(&self) -> BTreeMap<u64, u64> {
        self.inodes
            .iter()
            .map(|(&number, inode)| (number, inode.written))
            .collect()
    }

    /// The file of that name.
    pub(super) fn file(&self, path: &Path) -> Option<u64> {
        match self.visible.get(&plain(path)) {
            Some(Node::File(inode)) => Some(*inode),
            _ => None,
        }
    }

    pub(super) fn bytes(&self, inode: u64) -> &[u8] {
        self.inodes.get(&inode).map_or(&[], |inode| &inode.visible)
    }

    pub(super) fn facts(&self, path: &Path) -> io::Result<Facts> {
        let path = plain(path);
        let node = if path.as_os_str().is_empty() {
            Some(&Node::Folder)
        } else {
            self.visible.get(&path)
        };
        match node {
            Some(Node::Folder) => Ok(Facts {
                bytes: 0,
                is_folder: true,
            }),
            Some(&Node::File(inode)) => Ok(Facts {
                bytes: self.bytes(inode).len() as u64,
                is_folder: false,
            }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn require_folder_of(&self, path: &Path) -> io::Result<()> {
        match self.facts(&folder_of(path))? {
            Facts { is_folder: true, .. } => Ok(()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes.entry(number).or_default()
    }

    fn change_names(&mut self, paths: &[&Path], sets: Vec<(PathBuf, Option<Node>)>) {
        let change = NameChange {
            folders: paths.iter().map(|path| folder_of(path)).collect(),
            sets,
        };
        change.apply(&mut self.visible);
        self.pending.push(change);
    }

    /// Carries out a change.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(inode, path) => {
                self.inodes.insert(*inode, Inode::default());
                self.change_names(&[path], vec![(plain(path), Some(Node::File(*inode)))]);
            }
            Op::CreateFolder(path) => self.change_names(&[path], vec![(plain(path), Some(Node::Folder))]),
            Op::Rename(from, to) => {
                let node = self.visible.get(&plain(from)).copied();
                self.change_names(&[from, to], vec![(plain(from), None), (plain(to), node)]);
            }
            Op::Remove(path) => self.change_names(&[path], vec![(plain(path), None)]),
            Op::Write(inode, bytes) => self.inode(*inode).change(DataChange::Write(bytes.clone())),
            Op::SetLen(inode, len) => self.inode(*inode).change(DataChange::SetLen(*len)),
            Op::Sync(inode, covered) => self.inode(*inode).sync(*covered),
            Op::FailSync(inode) => self.inode(*inode).fail_sync(),
            Op::SyncFolder(path) => self.sync_folder(&plain(path)),
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let lasting = &mut self.lasting;
        self.pending.retain(|change| {
            let lasts = change.folders.iter().any(|changed| changed == folder);
            if lasts {
                change.apply(lasting);
            }
            !lasts
        });
    }

    /// Changes of names that may not last.
    pub fn pending_names(&self) -> usize {
        self.pending.len()
    }

    /// What is found after a loss of power.
    pub fn crashed(&self, mut fate: Fate) -> Image {
        let mut names = self.lasting.clone();
        for (index, change) in self.pending.iter().enumerate() {
            if fate.keeps_name(index) {
                change.apply(&mut names);
            }
        }
        let mut image = Image::new();
        for (path, node) in &names {
            let folder = folder_of(path);
            // What is in a folder that is gone is gone as well; folders come before what is in them.
            if !folder.as_os_str().is_empty() && !image.contains_key(&folder) {
                continue;
            }
            let bytes = match node {
                Node::Folder => None,
                Node::File(inode) => Some(
                    self.inodes
                        .get(inode)
                        .map_or(Vec::new(), |inode| inode.crashed(&mut fate)),
                ),
            };
            image.insert(path.clone(), bytes);
        }
        image
    }
}
