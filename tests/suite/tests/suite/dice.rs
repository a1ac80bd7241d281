//! Random choices that are the same each time.

/// Numbers that look random, the same for the same seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, less than this.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap()
    }

    /// True so many times of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let place = self.roll() % of.len() as u64;
        of[usize::try_from(place).unwrap()]
    }

    pub fn some(&mut self, of: &[&str], chance: u64) -> Vec<String> {
        let chosen = of.iter().filter(|_| self.percent(chance));
        chosen.map(|&id| id.to_owned()).collect()
    }
}
