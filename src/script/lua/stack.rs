//! The stack: reading and writing Lua values from Rust.
//!
//! Indexes count from 1 at the bottom, or from -1 at the top, as in Lua's own interface.
//!
//! Invariants, beside those of `state.rs`:
//! - S1  `raw` is a live state (I1), not strict (I2): what is called here raises for want of memory only, and so does not.
//! - S2  Whatever takes an index checks it against the stack, and whatever needs a table checks for one.
//! - S3  Whatever pushes makes room first. Room is limited (about 8000 values for a function): code that recurses or loops
//!   over input asks with [`Stack::reserve`] and reports; an unasked push that finds none is a bug and panics.
//! - S4  Bytes lent from a string live as long as the value stays on the stack: lending borrows the stack.
//!
//! All access is raw: no metamethod runs.

#![expect(unsafe_code, reason = "Lua's C interface, see state.rs")]

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use mlua_sys as ffi;

use super::super::lib::number::to_i64;
use super::{Function, Raise, state};

/// Most entries of one table built here; Lua raises at a number not far above.
pub const TABLE_ENTRIES_MAX: usize = 1 << 25;

/// Deepest nesting of what is read or written by recursion here: that much stack any thread has.
pub const NESTING_MAX: usize = 2000;

/// A value kept in the state's registry.
#[derive(Debug, PartialEq, Eq)]
pub struct Ref(pub(super) c_int);

/// Types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Lua's own names")]
pub enum Kind {
    None,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Kind {
    fn of(code: c_int) -> Kind {
        match code {
            ffi::LUA_TNONE => Kind::None,
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            _ => Kind::Thread,
        }
    }

    /// The name scripts see.
    pub fn name(self) -> &'static str {
        match self {
            Kind::None => "no value",
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::LightUserdata | Kind::Userdata => "userdata",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Thread => "thread",
        }
    }
}

/// The stack of a state or of a function's frame.
pub struct Stack<'a> {
    raw: *mut ffi::lua_State,
    state: PhantomData<&'a mut ()>,
}

/// Where a function is being executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Name of the chunk, as `@user_script`.
    pub source: Vec<u8>,
    /// Line, -1 when it is not known.
    pub line: i64,
}

impl Stack<'_> {
    /// # Safety
    /// S1 holds for `raw` while the stack is used.
    pub(super) unsafe fn new<'s>(raw: *mut ffi::lua_State) -> Stack<'s> {
        Stack {
            raw,
            state: PhantomData,
        }
    }

    // ---- the stack itself ----

    /// How many values there are.
    #[inline]
    pub fn top(&self) -> usize {
        // SAFETY: S1.
        unsafe { ffi::lua_gettop(self.raw) as usize }
    }

    /// Cuts the stack to `count` values, which are there.
    #[inline]
    pub fn truncate(&mut self, count: usize) {
        assert!(count <= self.top(), "a stack is cut, not grown");
        // SAFETY: S1, checked above.
        unsafe { ffi::lua_settop(self.raw, count as c_int) };
    }

    /// Drops the topmost `count` values.
    #[inline]
    pub fn pop(&mut self, count: usize) {
        let left = self
            .top()
            .checked_sub(count)
            .expect("as many values as are popped");
        // SAFETY: S1, checked above.
        unsafe { ffi::lua_settop(self.raw, left as c_int) };
    }

    /// Fills up with nil to `count` values, or cuts to them.
    pub fn resize(&mut self, count: usize) -> Result<(), Raise> {
        self.reserve(count.saturating_sub(self.top()))?;
        // SAFETY: S1, S3.
        unsafe { ffi::lua_settop(self.raw, count as c_int) };
        Ok(())
    }

    /// Room for `count` values more.
    ///
    /// # Errors
    /// When the stack would become too long.
    #[inline]
    pub fn reserve(&mut self, count: usize) -> Result<(), Raise> {
        if self.has_room(count) {
            return Ok(());
        }
        Err(Raise::message("stack overflow"))
    }

    /// Makes room for `count` values more, unless the stack would become too long.
    #[inline]
    pub fn has_room(&mut self, count: usize) -> bool {
        let count = c_int::try_from(count).unwrap_or(c_int::MAX);
        // SAFETY: S1.
        unsafe { ffi::lua_checkstack(self.raw, count) != 0 }
    }

    /// Room for one value more, which the caller knows there is (S3).
    #[inline]
    pub(super) fn make_room(&mut self) {
        assert!(
            self.has_room(1),
            "room on Lua's stack is reserved before it is used"
        );
    }

    /// Whether `index` names a value.
    #[inline]
    fn holds(&self, index: i32) -> bool {
        let top = self.top() as i64;
        let index = i64::from(index);
        index != 0 && index.abs() <= top
    }

    #[inline]
    fn check(&self, index: i32) {
        assert!(self.holds(index), "a value at index {index}");
    }

    #[inline]
    fn check_table(&self, index: i32) {
        assert_eq!(self.kind(index), Kind::Table, "a table at index {index}");
    }

    /// `index` counted from the bottom.
    pub fn absolute(&self, index: i32) -> i32 {
        self.check(index);
        if index > 0 {
            index
        } else {
            self.top() as i32 + index + 1
        }
    }

    /// Pushes a copy of the value at `index`.
    #[inline]
    pub fn push_copy(&mut self, index: i32) {
        self.check(index);
        self.make_room();
        // SAFETY: S1, S2, S3.
        unsafe { ffi::lua_pushvalue(self.raw, index) };
    }

    /// Moves the topmost value to `index`, those above it up.
    pub fn insert(&mut self, index: i32) {
        self.check(index);
        // SAFETY: S1, S2.
        unsafe { ffi::lua_insert(self.raw, index) };
    }

    /// Takes the value at `index` out.
    pub fn remove(&mut self, index: i32) {
        self.check(index);
        // SAFETY: S1, S2.
        unsafe { ffi::lua_remove(self.raw, index) };
    }

    // ---- reading ----

    /// The type of the value at `index`; `None` beyond the top.
    #[inline]
    pub fn kind(&self, index: i32) -> Kind {
        if !self.holds(index) {
            return Kind::None;
        }
        // SAFETY: S1, S2.
        Kind::of(unsafe { ffi::lua_type(self.raw, index) })
    }

    /// The number at `index`, if it is one; strings are none.
    #[inline]
    pub fn number(&self, index: i32) -> Option<f64> {
        // SAFETY: S1, S2: the kind says there is a value.
        (self.kind(index) == Kind::Number).then(|| unsafe { ffi::lua_tonumber(self.raw, index) })
    }

    /// The number at `index`, or the one that a string there spells.
    pub fn to_number(&self, index: i32) -> Option<f64> {
        // SAFETY: S1, S2.
        unsafe {
            let is_number = self.holds(index) && ffi::lua_isnumber(self.raw, index) != 0;
            is_number.then(|| ffi::lua_tonumber(self.raw, index))
        }
    }

    /// The string at `index`, if it is one; numbers are none.
    #[inline]
    pub fn bytes(&self, index: i32) -> Option<&[u8]> {
        (self.kind(index) == Kind::String).then(|| self.string_at(index))
    }

    /// The string at `index`; a number there becomes its string. Not for keys during an iteration.
    pub fn to_bytes(&mut self, index: i32) -> Option<&[u8]> {
        matches!(self.kind(index), Kind::String | Kind::Number).then(|| self.string_at(index))
    }

    /// The string, or number that becomes one, at `index`, which the caller has checked.
    fn string_at(&self, index: i32) -> &[u8] {
        let mut len = 0;
        // SAFETY: S1, S2, S4: a string or number gives a pointer to `len` bytes.
        unsafe {
            let start = ffi::lua_tolstring(self.raw, index, &mut len);
            std::slice::from_raw_parts(start.cast(), len)
        }
    }

    /// Whether the value at `index` is neither nil nor false.
    pub fn is_true(&self, index: i32) -> bool {
        // SAFETY: S1, S2.
        self.holds(index) && unsafe { ffi::lua_toboolean(self.raw, index) != 0 }
    }

    /// Whether the value at `index` is the light userdata that stands for JSON's null.
    pub fn is_null(&self, index: i32) -> bool {
        // SAFETY: S1, S2.
        self.kind(index) == Kind::LightUserdata && unsafe { ffi::lua_touserdata(self.raw, index).is_null() }
    }

    /// The length of the table or string at `index`: of a table, a border.
    pub fn len(&self, index: i32) -> usize {
        self.check(index);
        // SAFETY: S1, S2.
        unsafe { ffi::lua_objlen(self.raw, index) }
    }

    /// Whether two values are the same, without metamethods.
    pub fn same(&self, a: i32, b: i32) -> bool {
        // SAFETY: S1, S2.
        self.holds(a) && self.holds(b) && unsafe { ffi::lua_rawequal(self.raw, a, b) != 0 }
    }

    /// The address of the table, function, thread or userdata at `index`; 0 of other values.
    pub fn address(&self, index: i32) -> usize {
        self.check(index);
        // SAFETY: S1, S2: the pointer is only looked at.
        unsafe { ffi::lua_topointer(self.raw, index).addr() }
    }

    // ---- pushing ----

    /// Pushes the function that `source` is compiled to; what is wrong with it, and false, when it is not Lua. Not for
    /// binary chunks, see `native::is_binary`.
    pub fn compile(&mut self, source: &[u8], chunk: &str) -> bool {
        assert!(!super::native::is_binary(source), "source is text");
        self.make_room();
        let name = std::ffi::CString::new(chunk).unwrap_or_default();
        // SAFETY: S1, S3: loading catches its errors; the text is given with its length.
        let status =
            unsafe { ffi::luaL_loadbuffer(self.raw, source.as_ptr().cast(), source.len(), name.as_ptr()) };
        status == ffi::LUA_OK
    }

    /// Pushes nil.
    pub fn push_nil(&mut self) {
        self.make_room();
        // SAFETY: S1, S3.
        unsafe { ffi::lua_pushnil(self.raw) };
    }

    /// Pushes a truth value.
    pub fn push_bool(&mut self, value: bool) {
        self.make_room();
        // SAFETY: S1, S3.
        unsafe { ffi::lua_pushboolean(self.raw, c_int::from(value)) };
    }

    /// Pushes a number.
    #[inline]
    pub fn push_number(&mut self, value: f64) {
        self.make_room();
        // SAFETY: S1, S3.
        unsafe { ffi::lua_pushnumber(self.raw, value) };
    }

    /// Pushes a string of any bytes.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.make_room();
        // SAFETY: S1, S3: the bytes are copied.
        unsafe { ffi::lua_pushlstring_(self.raw, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Pushes the light userdata that stands for JSON's null.
    pub fn push_null(&mut self) {
        self.make_room();
        // SAFETY: S1, S3.
        unsafe { ffi::lua_pushlightuserdata(self.raw, std::ptr::null_mut()) };
    }

    /// Pushes an empty table with room for so many entries; more may follow. Not for counts from outside.
    pub fn push_table(&mut self, array: usize, fields: usize) {
        self.make_room();
        let (array, fields) = (array.min(TABLE_ENTRIES_MAX), fields.min(TABLE_ENTRIES_MAX));
        // SAFETY: S1, S3; the counts are in bounds.
        unsafe { ffi::lua_createtable(self.raw, array as c_int, fields as c_int) };
    }

    /// Pushes a function, with the topmost `upvalues` values as its own.
    pub fn push_function(&mut self, function: Function, upvalues: usize) {
        const UPVALUES_MAX: usize = 200;
        assert!(
            upvalues <= self.top().min(UPVALUES_MAX),
            "as many upvalues as are taken"
        );
        self.make_room();
        let below = -(upvalues as c_int) - 1;
        // SAFETY: S1, S3: the function's pointer becomes the first upvalue, as the trampoline expects.
        unsafe {
            ffi::lua_pushlightuserdata(self.raw, function as *mut c_void);
            ffi::lua_insert(self.raw, below);
            ffi::lua_pushcclosure(self.raw, state::trampoline, upvalues as c_int + 1);
        }
    }

    /// Pushes the running function's own value `number`, from 1.
    pub fn push_upvalue(&mut self, number: usize) {
        self.make_room();
        // SAFETY: S1, S3: Lua answers none for one that is not there, which is pushed as nil.
        unsafe { ffi::lua_pushvalue(self.raw, ffi::lua_upvalueindex(number as c_int + 1)) };
    }

    /// Pushes plain data that scripts never see, to be the own value of functions.
    pub fn push_data<T: Copy + 'static>(&mut self, data: T) {
        const { assert!(align_of::<T>() <= 8, "Lua aligns its userdata to 8 bytes") };
        self.make_room();
        // SAFETY: S1, S3: a block of that size; I6: it has no finalizer.
        unsafe {
            ffi::lua_newuserdata(self.raw, size_of::<T>())
                .cast::<T>()
                .write(data);
        }
    }

    /// The running function's own value `number`, which the library pushed as data of this type.
    pub fn upvalue_data<T: Copy + 'static>(&mut self, number: usize) -> &mut T {
        let index = ffi::lua_upvalueindex(number as c_int + 1);
        // SAFETY: S1, S4: a library gives its functions one type of data; the size is checked all the same. The
        // function keeps it alive.
        unsafe {
            let is_data = ffi::lua_type(self.raw, index) == ffi::LUA_TUSERDATA;
            assert!(
                is_data && ffi::lua_objlen(self.raw, index) == size_of::<T>(),
                "a function's own data"
            );
            &mut *ffi::lua_touserdata(self.raw, index).cast::<T>()
        }
    }

    /// Takes the value on top into the state's registry.
    pub fn keep(&mut self) -> Ref {
        self.check(-1);
        // SAFETY: S1, S2: there is a value to take.
        Ref(unsafe { ffi::luaL_ref(self.raw, ffi::LUA_REGISTRYINDEX) })
    }

    /// Lets go of a kept value.
    pub fn release(&mut self, kept: Ref) {
        // SAFETY: S1: the registry is a table; a reference is released once, since it is consumed.
        unsafe { ffi::luaL_unref(self.raw, ffi::LUA_REGISTRYINDEX, kept.0) };
    }

    pub(super) fn push_native(&mut self, function: ffi::lua_CFunction) {
        self.make_room();
        // SAFETY: S1, S3.
        unsafe { ffi::lua_pushcclosure(self.raw, function, 0) };
    }

    /// Pushes `{err = text}`.
    pub fn push_error_table(&mut self, text: &[u8]) {
        self.push_table(0, 3);
        self.push_bytes(text);
        self.set_field(-2, "err");
    }

    // ---- tables ----

    /// Pushes `table[key]`, the key being on top and taken.
    pub fn get(&mut self, table: i32) {
        self.check_table(table);
        // SAFETY: S1, S2: a table, and a key above it.
        unsafe { ffi::lua_rawget_(self.raw, table) };
    }

    /// Pushes `table[name]`.
    pub fn get_field(&mut self, table: i32, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        self.get(table);
    }

    /// Pushes `table[index]`.
    #[inline]
    pub fn get_index(&mut self, table: i32, index: i32) {
        self.check_table(table);
        self.make_room();
        // SAFETY: S1, S2, S3.
        unsafe { ffi::lua_rawgeti_(self.raw, table, index) };
    }

    /// `table[key] = value`, both on top and taken.
    ///
    /// # Errors
    /// When the key is nil or not a number.
    pub fn set(&mut self, table: i32) -> Result<(), Raise> {
        self.check_table(table);
        assert!(self.top() > 2, "a key and a value above a table");
        match self.kind(-2) {
            Kind::Nil => return Err(Raise::Plain(b"table index is nil".to_vec())),
            Kind::Number if self.number(-2).is_some_and(f64::is_nan) => {
                return Err(Raise::Plain(b"table index is NaN".to_vec()));
            }
            _ => {}
        }
        // SAFETY: S1, S2: a table, a key that can be one, a value.
        unsafe { ffi::lua_rawset(self.raw, table) };
        Ok(())
    }

    /// `table[name] = value`, which is on top and taken.
    pub fn set_field(&mut self, table: i32, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        self.insert(-2);
        self.check_table(table);
        // SAFETY: S1, S2: a table, a key that is a string, a value.
        unsafe { ffi::lua_rawset(self.raw, table) };
    }

    /// `table[index] = value`, which is on top and taken.
    #[inline]
    pub fn set_index(&mut self, table: i32, index: i32) {
        self.check_table(table);
        // SAFETY: S1, S2.
        unsafe { ffi::lua_rawseti_(self.raw, table, index) };
    }

    /// Takes the key on top and pushes the key and value that follow it in `table`; false, and nothing pushed, at the
    /// end. The key must be nil or stem from the same iteration, during which no key is added.
    pub fn next(&mut self, table: i32) -> bool {
        self.check_table(table);
        self.make_room();
        // SAFETY: S1, S2, S3: the caller's keys are the table's own.
        unsafe { ffi::lua_next(self.raw, table) != 0 }
    }

    /// Pushes the metatable of the value at `index`; false, and nothing pushed, when it has none.
    pub fn push_metatable(&mut self, index: i32) -> bool {
        self.check(index);
        self.make_room();
        // SAFETY: S1, S2, S3.
        unsafe { ffi::lua_getmetatable(self.raw, index) != 0 }
    }

    /// Gives the value at `index` the table, or nil, on top as its metatable.
    pub fn set_metatable(&mut self, index: i32) {
        self.check(index);
        assert!(
            matches!(self.kind(-1), Kind::Table | Kind::Nil),
            "a metatable is a table"
        );
        // SAFETY: S1, S2.
        unsafe { ffi::lua_setmetatable(self.raw, index) };
    }

    // ---- arguments ----

    /// Argument `index` as a number, as Lua's own functions take it: strings that spell one are fine.
    pub fn number_argument(&self, index: usize) -> Result<f64, Raise> {
        self.to_number(index as i32)
            .ok_or_else(|| self.type_error(index, "number"))
    }

    /// Argument `index` as an integer.
    pub fn integer_argument(&self, index: usize) -> Result<i64, Raise> {
        self.number_argument(index).map(to_i64)
    }

    /// Argument `index` as a string, as Lua's own functions take it: numbers are fine.
    pub fn bytes_argument(&mut self, index: usize) -> Result<&[u8], Raise> {
        if !matches!(self.kind(index as i32), Kind::String | Kind::Number) {
            return Err(self.type_error(index, "string"));
        }
        Ok(self.string_at(index as i32))
    }

    /// Argument `index` is of another type than `expected`.
    pub fn type_error(&self, index: usize, expected: &str) -> Raise {
        let found = self.kind(index as i32).name();
        Raise::Argument(index, format!("{expected} expected, got {found}"))
    }

    // ---- where ----

    /// Pushes local variable `number`, from 1, of the function `level` calls up; its name. Values that the compiler has
    /// named itself have names in parentheses. `None`, and nothing pushed, beyond the last.
    pub fn push_local(&mut self, level: usize, number: usize) -> Option<Vec<u8>> {
        self.make_room();
        // SAFETY: S1, S3: the record is of a call that is on the stack; the name ends with a zero byte and is copied.
        unsafe {
            let mut record = std::mem::zeroed::<ffi::lua_Debug>();
            if ffi::lua_getstack(self.raw, level as c_int, &mut record) == 0 {
                return None;
            }
            let name = ffi::lua_getlocal(self.raw, &record, number as c_int);
            (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_bytes().to_vec())
        }
    }

    /// How its caller names the function `level` calls up; `None` when that is not Lua code or has no name for it.
    pub fn function_name(&self, level: usize) -> Option<Vec<u8>> {
        // SAFETY: as above.
        unsafe {
            let mut record = std::mem::zeroed::<ffi::lua_Debug>();
            if ffi::lua_getstack(self.raw, level as c_int, &mut record) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.raw, c"n".as_ptr(), &mut record);
            (!record.name.is_null()).then(|| std::ffi::CStr::from_ptr(record.name).to_bytes().to_vec())
        }
    }

    /// Where the function `level` calls up is: 0 is the running one. `None` beyond the first.
    pub fn position(&self, level: usize) -> Option<(Position, bool)> {
        // SAFETY: S1: the record is filled by Lua before it is read; its strings end with a zero byte and are copied.
        unsafe {
            let mut record = std::mem::zeroed::<ffi::lua_Debug>();
            if ffi::lua_getstack(self.raw, level as c_int, &mut record) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.raw, c"Sl".as_ptr(), &mut record);
            let text = |start| std::ffi::CStr::from_ptr(start).to_bytes();
            let position = Position {
                source: text(record.source).to_vec(),
                line: i64::from(record.currentline),
            };
            Some((position, text(record.what) == b"C"))
        }
    }
}

impl Stack<'_> {
    /// Replaces the C function on top by a closure of `wrapper` that owns it.
    pub(super) fn wrap_native(&mut self, wrapper: ffi::lua_CFunction) {
        // SAFETY: S1, S2: there is a C function, which becomes the closure's only upvalue.
        unsafe {
            assert!(
                self.holds(-1) && ffi::lua_iscfunction(self.raw, -1) != 0,
                "a C function to wrap"
            );
            ffi::lua_pushcclosure(self.raw, wrapper, 1);
        }
    }
}
