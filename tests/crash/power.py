"""What a power cut leaves of a folder.

power_shim.c writes down what a process does to the files of a folder. Here
that journal is played onto a Disk, which knows of each file and each folder
what is certain (it was synced) and what is pending. A cut keeps of what is
pending nothing, all, or some:

- of a file the first so many truncations and, of what was written up to the
  next one, each page as it was after any of the writes: pages go to the disk
  by themselves and in any order;
- of the names in a folder the first so many changes. A sync of a file does
  not save its name; a file whose name is lost is lost.

What is mapped into memory is not written down: SQLite's -shm is lost by any
cut, as it may be.
"""
import os
import shutil

PAGES = (512, 4096)  # a disk's sector, the kernel's page
MAPPED = "-shm"


class Pending:
    """Something that is seen in one state and is certain to be in another;
    changes are pending between them."""

    def __init__(self, certain):
        self.certain, self.seen = certain, certain.copy()
        self.changes = []
        self.settled = 0  # how many changes are not pending any more

    def change(self, change):
        self.apply(self.seen, change)
        self.changes.append(change)

    def mark(self):
        return self.settled + len(self.changes)

    def take(self, mark):
        """The changes before the mark, which are pending no more."""
        count = max(0, mark - self.settled)
        taken = self.changes[:count]
        del self.changes[:count]
        self.settled += count
        return taken

    def settle(self, mark):
        """A sync of all changes before the mark succeeded."""
        for change in self.take(mark):
            self.apply(self.certain, change)

    def give_up(self, mark):
        """It failed. What it did not write no other sync will: the kernel
        tells once, and holds the pages for clean."""
        self.take(mark)

    def after(self, count):
        """The state after the first `count` pending changes."""
        state = self.certain.copy()
        for change in self.changes[:count]:
            self.apply(state, change)
        return state


class File(Pending):
    """Bytes; a change is (position, data), or (size, None)."""

    @staticmethod
    def apply(state, change):
        position, data = change
        state.extend(bytes(max(0, position - len(state))))
        if data is None:
            del state[position:]
        else:
            state[position:position + len(data)] = data

    def some(self, chance):
        """Some truncations, and some of the pages written behind them."""
        cuts = [i for i, (_, data) in enumerate(self.changes) if data is None]
        kept = chance.randint(0, len(cuts))
        first = cuts[kept - 1] + 1 if kept else 0
        last = cuts[kept] if kept < len(cuts) else len(self.changes)
        left = self.after(first)
        sizes = [len(left)]
        page = chance.choice(PAGES)
        saved = {}  # position of a page: before which change it was saved
        for i, (position, data) in enumerate(self.changes[first:last]):
            end = position + len(data)
            left.extend(bytes(max(0, end - len(left))))
            sizes.append(len(left))
            for at in range(position - position % page, end, page):
                if i < saved.setdefault(at, chance.randint(0, last - first)):
                    begin, until = max(at, position), min(at + page, end)
                    left[begin:until] = data[begin - position:until - position]
        return left[:chance.choice(sizes)]


class Folder(Pending):
    """Names of files and folders; a change is {name: what, or None}."""

    @staticmethod
    def apply(state, change):
        for name, what in change.items():
            if what:
                state[name] = what
            else:
                state.pop(name, None)

    def some(self, chance):
        """The first so many changes of names."""
        return self.after(chance.randint(0, len(self.changes)))


class Disk:
    """The folder `root` as it is on a disk, all of it certain at first."""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.by_inode = {}
        self.syncing = {}
        self.top = self.load(self.root)

    def load(self, path):
        if os.path.isdir(path):
            found = Folder({name: self.load(os.path.join(path, name))
                            for name in os.listdir(path)})
        else:
            with open(path, "rb") as file:
                found = File(bytearray(file.read()))
        self.by_inode[os.stat(path).st_ino] = found
        return found

    def place(self, path):
        """The folder that a path is in, and its name there."""
        *folders, name = os.path.relpath(path, self.root).split("/")
        at = self.top
        for folder in folders:
            at = at.seen[folder]
        return at, name

    def play(self, journal):
        """Does what the journal tells. Its last record may be torn by the
        kill; nothing can depend on that one."""
        with open(journal, "rb") as records:
            for line in records:
                if not line.endswith(b"\n"):
                    return
                what, *fields = line[:-1].decode().split("\t")
                if what == "write":
                    inode, position, size = map(int, fields)
                    data = records.read(size)
                    if len(data) == size:
                        self.change(inode, position, data)
                else:
                    getattr(self, "play_" + what)(*fields)

    def change(self, inode, position, data):
        self.by_inode[inode].change((position, data))

    def play_size(self, inode, size):
        self.change(int(inode), int(size), None)

    def make(self, inode, path, what):
        self.by_inode[int(inode)] = what
        folder, name = self.place(path)
        folder.change({name: what})

    def play_file(self, inode, path):
        self.make(inode, path, File(bytearray()))

    def play_folder(self, inode, path):
        self.make(inode, path, Folder({}))

    def play_rename(self, source, target):
        folder, old = self.place(source)
        other, new = self.place(target)
        assert folder is other, "a rename between folders is two changes"
        folder.change({new: folder.seen[old], old: None})

    def play_remove(self, path):
        folder, name = self.place(path)
        folder.change({name: None})

    def play_syncing(self, number, inode):
        what = self.by_inode[int(inode)]
        self.syncing[number] = what, what.mark()

    def play_synced(self, number):
        what, mark = self.syncing.pop(number)
        what.settle(mark)

    def play_failed(self, number):
        what, mark = self.syncing.pop(number)
        what.give_up(mark)

    def left(self, how, chance=None):
        """What a cut leaves now: names, each with bytes or more names. It
        keeps of what is pending "nothing", "all", or "some" by chance."""
        def state(what):
            return {"nothing": lambda: what.certain, "all": lambda: what.seen,
                    "some": lambda: what.some(chance)}[how]()

        def look(what):
            found = state(what)
            if isinstance(what, File):
                return bytes(found)
            return {name: look(found[name]) for name in sorted(found)
                    if not name.endswith(MAPPED)}
        return look(self.top)

    def pending(self):
        """How many changes a cut may lose."""
        def look(what):
            return len(what.changes) + (
                sum(map(look, what.seen.values()))
                if isinstance(what, Folder) else 0)
        return look(self.top)


def write_tree(path, tree):
    """Makes the folder hold what `Disk.left()` says, and nothing else."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    for name, what in tree.items():
        inner = os.path.join(path, name)
        if isinstance(what, dict):
            write_tree(inner, what)
        else:
            with open(inner, "wb") as file:
                file.write(what)


def difference(tree, other, path=""):
    """The first name where two trees differ, or None."""
    for name in sorted(tree.keys() | other.keys()):
        one, two = tree.get(name), other.get(name)
        if isinstance(one, dict) and isinstance(two, dict):
            found = difference(one, two, f"{path}/{name}")
            if found:
                return found
        elif one != two:
            return f"{path}/{name}"
    return None
