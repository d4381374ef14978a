// What the book's own pages do, where scripts run: nothing here is needed to read.
import "./page.js";
import "./search.js";
import "./previews.js";
