//! Scripts, as far as they have to be understood before they are run.

/// The words of a command.
pub(crate) type Command = Vec<String>;

/// What a stream's script says for each phase.
pub(crate) struct Script {
    pub(crate) name: String,
    phases: Vec<(String, Vec<Command>)>,
}

impl Script {
    pub(crate) fn parse(name: &[u8], text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let phases = text.split(';').filter_map(|phase| {
            let (phase, commands) = phase.split_once(':')?;
            let commands = commands
                .split('|')
                .map(|command| command.split_whitespace().map(str::to_owned).collect());
            Some((phase.trim().to_owned(), commands.collect()))
        });
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            phases: phases.collect(),
        }
    }

    pub(crate) fn commands(&self, phase: &str) -> Vec<Command> {
        let found = self.phases.iter().filter(|(name, _)| name == phase);
        found.flat_map(|(_, commands)| commands.clone()).collect()
    }
}

/// The bytes that a word stands for.
pub(crate) fn bytes(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        let mut digits = || [rest.next(), rest.next()];
        bytes.push(match byte {
            b'%' => hexadecimal(digits()),
            _ => byte,
        });
    }
    bytes
}

fn hexadecimal(digits: [Option<u8>; 2]) -> u8 {
    digits.into_iter().flatten().fold(0, |value, digit| {
        let digit = char::from(digit).to_digit(16).unwrap_or(0);
        value.wrapping_mul(16).wrapping_add(digit as u8)
    })
}

/// Bytes as a word that can be read in a log.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'!'..=b'~' if *byte != b'%' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}
