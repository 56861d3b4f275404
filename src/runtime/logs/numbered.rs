//! Things by numbers that only grow. A sorted list, since those that come are always the last: a map would take more code
//! than all the rest of this folder.

#[derive(Debug)]
pub struct Numbered<T> {
    things: Vec<(u64, T)>,
    last: u64,
}

impl<T> Numbered<T> {
    /// Keeps a thing, and gives its number.
    pub fn add(&mut self, thing: T) -> u64 {
        self.last += 1;
        self.things.push((self.last, thing));
        self.last
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.index(number)?;
        self.things.get_mut(index).map(|(_, thing)| thing)
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let index = self.index(number)?;
        Some(self.things.remove(index).1)
    }

    pub fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.things.iter()
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.things.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { things: Vec::new(), last: 0 }
    }
}
