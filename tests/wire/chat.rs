//! A connection that is spoken to in lines, and whose replies and messages are read as lines.

use std::net::TcpStream;

use russet::resp::Value;

use super::server::Server;
use super::wire::Wire;

/// A value on one line: `>3 $message $news $hi`.
fn flat(value: &Value) -> String {
    let text = value.to_string();
    text.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
}

/// A connection that speaks inline commands.
pub struct Chat {
    wire: Wire,
    stream: TcpStream,
}

impl Chat {
    /// A new connection.
    #[track_caller]
    pub fn with(server: &Server) -> Chat {
        Chat::over(TcpStream::connect(server.address()).expect("the server accepts"))
    }

    /// A new connection that has asked for RESP3.
    #[track_caller]
    pub fn in_resp3(server: &Server) -> Chat {
        let mut chat = Chat::with(server);
        chat.run("HELLO 3");
        chat
    }

    /// The same connection a second time, for who only reads or only writes.
    pub fn twin(&self) -> Chat {
        Chat::over(self.stream.try_clone().expect("a second handle"))
    }

    fn over(stream: TcpStream) -> Chat {
        let wire = Wire::over(stream.try_clone().expect("a second handle"));
        Chat { wire, stream }
    }

    /// Sends text as it is.
    pub fn send(&mut self, text: &str) {
        self.wire.send(text.as_bytes());
    }

    /// The next reply or message; `None` at the end of the connection.
    pub fn hear(&mut self) -> Option<String> {
        self.wire.reply_or_end().as_ref().map(flat)
    }

    /// Sends a line; what is answered.
    #[track_caller]
    pub fn run(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n"));
        self.hear().expect("an answer")
    }

    /// Reads what must come.
    #[track_caller]
    pub fn expect(&mut self, messages: &[&str]) {
        for message in messages {
            assert_eq!(self.hear().as_deref(), Some(*message));
        }
    }
}
