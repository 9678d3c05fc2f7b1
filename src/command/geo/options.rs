//! The options of searches, which six commands share.
//!
//! Compat: options are read one by one after the key has been looked up, and a member is looked for as soon as it is
//! named, so that its error comes before that of a later word. Without the key there is nothing to look for.

use crate::base::float;
use crate::command::args::Args;
use crate::command::error::Error;
use crate::ds::geohash::{Point, Search, Shape};
use crate::value::zset::Zset;

use super::{parse_point, parse_unit};

/// The forms of the command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// GEORADIUS; may it store?
    Radius(Store),
    /// GEORADIUSBYMEMBER.
    Member(Store),
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

/// Whether STORE and STOREDIST are options.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// They are.
    Allowed,
    /// They are not (`_RO`).
    Refused,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    fn may_store(self) -> bool {
        matches!(self, Form::Radius(Store::Allowed) | Form::Member(Store::Allowed))
    }
}

/// In what order the results come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nearest first.
    Ascending,
    /// Farthest first.
    Descending,
}

/// What is asked for.
#[derive(Default)]
pub struct Options {
    /// Where; `None` only without the key.
    pub search: Option<Search>,
    /// How many meters the unit of the answer is.
    pub unit_m: f64,
    /// `WITHDIST`.
    pub with_distance: bool,
    /// `WITHHASH`.
    pub with_hash: bool,
    /// `WITHCOORD`.
    pub with_coordinates: bool,
    /// `ASC`, `DESC`.
    pub order: Option<Order>,
    /// `COUNT`, 1 or more.
    pub count: Option<usize>,
    /// `COUNT .. ANY`: the first that are found will do.
    pub any: bool,
    /// Word of the key to store to.
    pub store_at: Option<usize>,
    /// Distances become scores, not cells.
    pub store_distance: bool,
}

/// What has been read of the center.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Member,
    Location,
}

struct Parser<'a> {
    args: Args<'a>,
    form: Form,
    zset: Option<&'a Zset>,
    options: Options,
    from: Option<From>,
    center: Option<Point>,
    shape: Option<Shape>,
}

impl Options {
    /// Reads all words behind the key.
    pub fn parse(args: Args<'_>, form: Form, zset: Option<&Zset>) -> Result<Options, Error> {
        let mut parser = Parser {
            args,
            form,
            zset,
            options: Options::default(),
            from: None,
            center: None,
            shape: None,
        };
        let mut at = parser.take_fixed_words()?;
        while at < args.len() {
            at += parser.take_option(at)?;
        }
        parser.finish()
    }
}

impl Parser<'_> {
    /// Reads the words that have their places; where the options begin.
    fn take_fixed_words(&mut self) -> Result<usize, Error> {
        match self.form {
            Form::Radius(_) => {
                self.center = Some(parse_point(self.args, 2)?);
                self.take_circle(4)?;
                Ok(6)
            }
            Form::Member(_) => {
                if self.zset.is_some() {
                    self.take_member(2)?;
                    self.take_circle(3)?;
                }
                Ok(5)
            }
            Form::Search => Ok(2),
            Form::SearchStore => {
                self.options.store_at = Some(1);
                Ok(3)
            }
        }
    }

    /// Reads one option; how many words it has.
    fn take_option(&mut self, at: usize) -> Result<usize, Error> {
        if self.take_flag(at) {
            return Ok(1);
        }
        let left = self.args.len() - at - 1;
        let is = |name: &str, values: usize| self.args.is(at, name) && left >= values;
        if is("count", 1) {
            self.take_count(at + 1)?;
            return Ok(2);
        }
        if self.form.is_search() {
            return self.take_area(at);
        }
        let distances = is("storedist", 1);
        if !self.form.may_store() || !distances && !is("store", 1) {
            return Err(Error::Syntax);
        }
        self.options.store_at = Some(at + 1);
        self.options.store_distance = distances;
        Ok(2)
    }

    fn take_flag(&mut self, at: usize) -> bool {
        let is = |name| self.args.is(at, name);
        let options = &mut self.options;
        match () {
            () if is("withdist") => options.with_distance = true,
            () if is("withhash") => options.with_hash = true,
            () if is("withcoord") => options.with_coordinates = true,
            () if is("any") => options.any = true,
            () if is("asc") => options.order = Some(Order::Ascending),
            () if is("desc") => options.order = Some(Order::Descending),
            () if is("storedist") && self.form == Form::SearchStore => options.store_distance = true,
            () => return false,
        }
        true
    }

    fn take_count(&mut self, at: usize) -> Result<(), Error> {
        let count = self.args.int(at)?;
        if count <= 0 {
            return Err(Error::fixed("ERR COUNT must be > 0"));
        }
        self.options.count = Some(count as usize);
        Ok(())
    }

    /// FROMMEMBER, FROMLONLAT, BYRADIUS or BYBOX: one of each pair, though that one maybe again.
    fn take_area(&mut self, at: usize) -> Result<usize, Error> {
        let left = self.args.len() - at - 1;
        let is = |name: &str, values: usize| self.args.is(at, name) && left >= values;
        if is("frommember", 1) && self.from != Some(From::Location) {
            self.from = Some(From::Member);
            self.take_member(at + 1)?;
            return Ok(2);
        }
        if is("fromlonlat", 2) && self.from != Some(From::Member) {
            self.from = Some(From::Location);
            self.center = Some(parse_point(self.args, at + 1)?);
            return Ok(3);
        }
        if is("byradius", 2) && !matches!(self.shape, Some(Shape::Rectangle { .. })) {
            self.take_circle(at + 1)?;
            return Ok(3);
        }
        if is("bybox", 3) && !matches!(self.shape, Some(Shape::Circle { .. })) {
            self.take_rectangle(at + 1)?;
            return Ok(4);
        }
        Err(Error::Syntax)
    }

    fn take_member(&mut self, at: usize) -> Result<(), Error> {
        let Some(zset) = self.zset else {
            return Ok(());
        };
        let score = zset.score(self.args.get(at));
        let unknown = Error::fixed("ERR could not decode requested zset member");
        self.center = Some(Point::from_score(score.ok_or(unknown)?));
        Ok(())
    }

    /// A radius and its unit.
    fn take_circle(&mut self, at: usize) -> Result<(), Error> {
        let radius = self.length(at, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(Error::fixed("ERR radius cannot be negative"));
        }
        self.options.unit_m = parse_unit(self.args, at + 1)?;
        self.shape = Some(Shape::Circle {
            radius_m: radius * self.options.unit_m,
        });
        Ok(())
    }

    /// Width, height and their unit.
    fn take_rectangle(&mut self, at: usize) -> Result<(), Error> {
        let width = self.length(at, "ERR need numeric width")?;
        let height = self.length(at + 1, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::fixed("ERR height or width cannot be negative"));
        }
        self.options.unit_m = parse_unit(self.args, at + 2)?;
        self.shape = Some(Shape::Rectangle {
            width_m: width * self.options.unit_m,
            height_m: height * self.options.unit_m,
        });
        Ok(())
    }

    fn length(&self, at: usize, otherwise: &'static str) -> Result<f64, Error> {
        float::parse(self.args.get(at)).ok_or(Error::fixed(otherwise))
    }

    /// Checks what does not go together.
    fn finish(self) -> Result<Options, Error> {
        let mut options = self.options;
        let with_any = options.with_distance || options.with_hash || options.with_coordinates;
        if options.store_at.is_some() && with_any {
            let what = match self.form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(Error::err(format_args!(
                "{what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let name = self.args.get(0);
        if self.form.is_search() && self.from.is_none() {
            let text = "exactly one of FROMMEMBER or FROMLONLAT can be specified for ";
            return Err(Error::quoting(text, name, ""));
        }
        if self.form.is_search() && self.shape.is_none() {
            let text = "exactly one of BYRADIUS and BYBOX can be specified for ";
            return Err(Error::quoting(text, name, ""));
        }
        if options.any && options.count.is_none() {
            return Err(Error::fixed("ERR the ANY argument requires COUNT argument"));
        }
        options.search = self
            .center
            .zip(self.shape)
            .map(|(center, shape)| Search { center, shape });
        Ok(options)
    }
}
