//! The libraries of FUNCTION, by name, and their functions.
//!
//! Names of functions are unique among all libraries, so a function is found in one step. Libraries and functions are
//! listed in the order of their names.

use std::collections::{BTreeMap, HashMap};

use super::register::Function;

/// Names up to this length are looked up without an allocation.
const SHORT_NAME_BYTES: usize = 64;

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its name.
    pub name: Vec<u8>,
    /// The engine, as its first line names it.
    pub engine: Vec<u8>,
    /// Its text, the first line included.
    pub text: Vec<u8>,
    /// Its functions, in the order of their names.
    pub functions: Vec<Function>,
}

/// All libraries.
#[derive(Debug, Default)]
pub struct Libraries {
    by_name: BTreeMap<Vec<u8>, Library>,
    /// Function, in lower case, to library and place in it.
    functions: HashMap<Vec<u8>, (Vec<u8>, usize)>,
    memory_bytes: usize,
}

impl Libraries {
    /// How many libraries.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many functions.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// All libraries in order.
    pub fn iter(&self) -> impl Iterator<Item = &Library> {
        self.by_name.values()
    }

    /// The library of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Library> {
        self.by_name.get(name)
    }

    /// The function of this name, in any case.
    pub fn function(&self, name: &[u8]) -> Option<&Function> {
        let mut folded = [0; SHORT_NAME_BYTES];
        let found = match folded.get_mut(..name.len()) {
            Some(folded) => {
                folded.copy_from_slice(name);
                folded.make_ascii_lowercase();
                self.functions.get(&*folded)
            }
            None => self.functions.get(&name.to_ascii_lowercase()),
        };
        let (library, index) = found?;
        self.by_name.get(library)?.functions.get(*index)
    }

    /// A function of `library` whose name another library's function has.
    pub fn collision<'l>(&self, library: &'l Library) -> Option<&'l [u8]> {
        let taken = |function: &&Function| {
            let owner = self.functions.get(&function.name.to_ascii_lowercase());
            owner.is_some_and(|(owner, _)| *owner != library.name)
        };
        library
            .functions
            .iter()
            .find(taken)
            .map(|function| &function.name[..])
    }

    /// Adds a library whose functions collide with no other's; the one of the same name that it replaces.
    pub fn add(&mut self, mut library: Library) -> Option<Library> {
        let former = self.remove(&library.name);
        library.functions.sort_by(|a, b| a.name.cmp(&b.name));
        for (index, function) in library.functions.iter().enumerate() {
            self.functions
                .insert(function.name.to_ascii_lowercase(), (library.name.clone(), index));
        }
        self.memory_bytes += library.memory_bytes();
        self.by_name.insert(library.name.clone(), library);
        former
    }

    /// Takes a library out.
    pub fn remove(&mut self, name: &[u8]) -> Option<Library> {
        let library = self.by_name.remove(name)?;
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        self.memory_bytes -= library.memory_bytes();
        Some(library)
    }

    /// Takes all of them out.
    pub fn take_all(&mut self) -> impl Iterator<Item = Library> + use<> {
        self.functions.clear();
        self.memory_bytes = 0;
        std::mem::take(&mut self.by_name).into_values()
    }

    /// About how many bytes they take beside Lua's.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl Library {
    fn memory_bytes(&self) -> usize {
        const ENTRY_BYTES: usize = 64;
        let of_function = |function: &Function| {
            let description = function.description.as_ref().map_or(0, Vec::len);
            size_of::<Function>() + ENTRY_BYTES + 2 * function.name.len() + description
        };
        let functions: usize = self.functions.iter().map(of_function).sum();
        size_of::<Library>() + ENTRY_BYTES + self.text.len() + functions
    }
}
