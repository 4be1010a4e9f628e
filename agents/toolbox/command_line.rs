//! A shell line as the simple commands that it consists of, where that can be told without running it.

use std::collections::VecDeque;

/// The simple commands of a line, in order, each as its words: what a shell would run them with.
/// Bodies of `if`, `while` and groups are among them, whether they would be reached or not.
///
/// # Errors
/// What keeps it from being told: then nobody knows what the line would run.
pub(crate) fn words(line: &str) -> Result<Vec<Vec<String>>, &'static str> {
    if line.chars().any(|it| it.is_control() && !matches!(it, '\n' | '\t')) {
        return Err("a control character");
    }
    let mut reader = Reader { rest: line.chars().collect() };
    let mut commands = Vec::new();
    let mut command = Command::default();
    loop {
        match reader.token()? {
            Token::Word(word) => command.add(word)?,
            Token::Redirect => command.is_begun = true,
            Token::Open if command.is_begun => return Err("a function or an array"),
            Token::Open => {}
            Token::Break if commands.len() == COMMANDS => return Err("very many commands"),
            Token::Break => commands.extend(command.done()?),
            Token::End => {
                commands.extend(command.done()?);
                return Ok(commands);
            }
        }
    }
}

/// Commands of a line that is told: what has more is a script.
const COMMANDS: usize = 256;
/// Words that begin what has commands inside; those come next.
const AROUND: [&str; 11] =
    ["if", "then", "elif", "else", "fi", "while", "until", "do", "done", "{", "}"];
/// Words that begin what is read in another way.
const OTHER: [&str; 8] = ["for", "case", "select", "function", "coproc", "time", "[[", "esac"];
/// Variables that change what a command says, and not which one runs or what it does.
const HARMLESS: [&str; 16] = [
    "CI",
    "COLUMNS",
    "DEBUG",
    "FORCE_COLOR",
    "LANG",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LINES",
    "NO_COLOR",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "RUST_BACKTRACE",
    "TERM",
    "TZ",
];
/// Commands that run words as commands, or change what later words mean.
const OPAQUE: &str = " . alias ash at batch bash bind bwrap builtin busybox chroot chrt command \
    compgen complete compopt coproc csh dash declare doas enable entr env eval exec expect export \
    fakeroot fc fish flock gdb getopts hash history ionice ksh let local ltrace mapfile mksh nice \
    nohup nsenter parallel perf pkexec pwsh rbash read readarray readonly runuser screen script \
    set setpriv setsid sh shopt source start-stop-daemon stdbuf strace su sudo systemd-run \
    taskset tcsh time timeout tmux trap typeset unalias unset unshare watch xargs yash zsh ";
/// Commands of the shell that write into a variable or evaluate its name when one of these is given.
const NAMING: [(&str, [&str; 2]); 4] =
    [("printf", ["-v", "-v"]), ("wait", ["-p", "-n"]), ("test", ["-v", "-R"]), ("[", ["-v", "-R"])];
/// What makes `find` run commands.
const FOUND: [&str; 4] = ["-exec", "-execdir", "-ok", "-okdir"];

/// The command that is being read.
#[derive(Default)]
struct Command {
    words: Vec<String>,
    /// A word, a variable or a redirection stands before: from here on `if` is a word like others.
    is_begun: bool,
}

impl Command {
    fn add(&mut self, word: Word) -> Result<(), &'static str> {
        let text = word.text.as_str();
        if word.is_plain && !self.is_begun {
            if AROUND.contains(&text) || text == "!" {
                return Ok(());
            }
            if OTHER.contains(&text) {
                return Err("a loop over words, a `case`, or another compound command");
            }
        }
        self.is_begun = true;
        if let (true, Some(name)) = (self.words.is_empty(), word.variable()) {
            let is_harmless = HARMLESS.contains(&name);
            return if is_harmless { Ok(()) } else { Err("a variable that is set") };
        }
        self.words.push(word.text);
        Ok(())
    }

    /// Its words, if it has any.
    fn done(&mut self) -> Result<Option<Vec<String>>, &'static str> {
        let Command { words, .. } = std::mem::take(self);
        let Some((name, arguments)) = words.split_first() else { return Ok(None) };
        let name = name.rsplit('/').next().unwrap_or_default();
        let is_opaque = OPAQUE.split_ascii_whitespace().any(|it| it == name);
        let begins = |with: &[&str]| {
            arguments.iter().any(|argument| with.iter().any(|it| argument.starts_with(it)))
        };
        let is_naming = NAMING.iter().any(|(it, with)| *it == name && begins(with));
        if is_opaque || is_naming || (name == "find" && begins(&FOUND)) {
            return Err("a command that runs others, or changes what they are");
        }
        Ok(Some(words))
    }
}

/// A part of a line.
enum Token {
    Word(Word),
    /// It reads or writes nothing but `/dev/null` and what is open already.
    Redirect,
    /// A parenthesis is opened.
    Open,
    /// The command before it ends, and another may begin.
    Break,
    End,
}

/// One word, without its quotes.
#[derive(Default)]
struct Word {
    text: String,
    /// Whether nothing of it was quoted.
    is_plain: bool,
    /// Where its first unquoted `=` stands.
    equals: Option<usize>,
}

impl Word {
    /// The variable that it sets, if it stands before a command.
    fn variable(&self) -> Option<&str> {
        let name = &self.text[..self.equals?];
        let name = name.strip_suffix('+').unwrap_or(name);
        let mut letters = name.chars();
        let is_letter = |it: char| it.is_ascii_alphabetic() || it == '_';
        let is_name = letters.next().is_some_and(is_letter)
            && letters.all(|it| is_letter(it) || it.is_ascii_digit());
        is_name.then_some(name)
    }
}

struct Reader {
    rest: VecDeque<char>,
}

impl Reader {
    fn at(&self, ahead: usize) -> Option<char> {
        self.rest.get(ahead).copied()
    }

    /// Takes this if it comes next.
    fn takes(&mut self, text: &str) -> bool {
        let comes = text.chars().enumerate().all(|(at, it)| self.at(at) == Some(it));
        if comes {
            self.rest.drain(..text.len());
        }
        comes
    }

    fn blanks(&mut self) {
        while self.takes(" ") || self.takes("\t") || self.takes("\\\n") {}
    }

    fn token(&mut self) -> Result<Token, &'static str> {
        self.blanks();
        if self.at(0) == Some('#') {
            while self.at(0).is_some_and(|it| it != '\n') {
                self.rest.pop_front();
            }
        }
        if self.takes("&>") {
            let _ = self.takes(">");
            return self.redirected(false);
        }
        if self.takes(";;") || self.takes(";&") {
            return Err("a `case`");
        }
        if self.takes("((") {
            return Err("arithmetic");
        }
        match self.at(0) {
            None => Ok(Token::End),
            Some('\n' | ';' | '&' | '|' | ')') => {
                self.rest.pop_front();
                Ok(Token::Break)
            }
            Some('(') => {
                self.rest.pop_front();
                Ok(Token::Open)
            }
            Some('<' | '>') => self.redirect(),
            Some(_) => {
                let word = self.word()?;
                let is_number = word.is_plain && word.text.bytes().all(|it| it.is_ascii_digit());
                if is_number && matches!(self.at(0), Some('<' | '>')) {
                    return self.redirect();
                }
                Ok(Token::Word(word))
            }
        }
    }

    fn redirect(&mut self) -> Result<Token, &'static str> {
        if ["<(", ">("].iter().any(|it| self.takes(it)) {
            return Err("a substitution");
        }
        if self.takes("<<") {
            return Err("a text for its input");
        }
        let is_copy = self.takes(">&") || self.takes("<&");
        if !is_copy && !["<>", ">>", ">|", ">", "<"].iter().any(|it| self.takes(it)) {
            return Err("a redirection");
        }
        self.redirected(is_copy)
    }

    /// What follows a redirection: nothing but `/dev/null`, or what is open already.
    fn redirected(&mut self, is_copy: bool) -> Result<Token, &'static str> {
        self.blanks();
        let target = self.word()?.text;
        let is_open =
            target == "-" || (!target.is_empty() && target.bytes().all(|it| it.is_ascii_digit()));
        match target == "/dev/null" || (is_copy && is_open) {
            true => Ok(Token::Redirect),
            false => Err("a redirection into a file"),
        }
    }

    /// One word; empty where none begins.
    fn word(&mut self) -> Result<Word, &'static str> {
        let mut word = Word { is_plain: true, ..Word::default() };
        let (mut has_bracket, mut has_brace) = (false, false);
        // The letter before, if it was not quoted; at the beginning, what a word may begin after.
        let mut before = Some(' ');
        while let Some(letter) = self.at(0) {
            if matches!(letter, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>') {
                break;
            }
            self.rest.pop_front();
            match letter {
                '\\' if self.takes("\n") => continue,
                '\\' => word.text.push(self.rest.pop_front().ok_or(OPEN_END)?),
                '\'' => self.single(&mut word.text)?,
                '"' => self.double(&mut word.text)?,
                '`' => return Err("a substitution"),
                '$' if self.at(0).is_some_and(|it| !matches!(it, ' ' | '\t' | '\n')) => {
                    return Err("a variable or a substitution");
                }
                '*' | '?' => return Err("a pattern of file names"),
                '~' if matches!(before, Some(' ' | '=' | ':')) => return Err("a home folder"),
                _ => {
                    if letter == '=' && word.is_plain && word.equals.is_none() {
                        word.equals = Some(word.text.len());
                    }
                    has_bracket |= letter == '[';
                    has_brace |= letter == '{';
                    word.text.push(letter);
                    before = Some(letter);
                    continue;
                }
            }
            (word.is_plain, before) = (false, None);
        }
        if has_bracket && word.text != "[" && word.text != "[[" {
            return Err("a pattern of file names");
        }
        if has_brace && word.text != "{" && word.text != "{}" {
            return Err("braces");
        }
        Ok(word)
    }

    fn single(&mut self, text: &mut String) -> Result<(), &'static str> {
        loop {
            match self.rest.pop_front().ok_or(OPEN_END)? {
                '\'' => return Ok(()),
                letter => text.push(letter),
            }
        }
    }

    fn double(&mut self, text: &mut String) -> Result<(), &'static str> {
        loop {
            match self.rest.pop_front().ok_or(OPEN_END)? {
                '"' => return Ok(()),
                '\\' if self.takes("\n") => {}
                '\\' if matches!(self.at(0), Some('$' | '`' | '"' | '\\')) => {
                    text.extend(self.rest.pop_front());
                }
                '`' => return Err("a substitution"),
                '$' if !matches!(self.at(0), Some('"' | ' ' | '\t' | '\n')) => {
                    return Err("a variable or a substitution");
                }
                letter => text.push(letter),
            }
        }
    }
}

/// Why a line without its end is not read.
const OPEN_END: &str = "a quote without its end";

#[cfg(test)]
mod tests;
