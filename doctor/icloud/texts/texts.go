// Package texts tells what an error text of iCloud or one of its clients means.
package texts
