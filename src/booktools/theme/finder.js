// What booktools.search writes before this is the book, to be searched.
import { finder } from "./find.js";

globalThis.findInBook = finder(globalThis.bookToFind);
