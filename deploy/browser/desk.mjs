// Walks through the desk as its people do on a morning, from sign-in to sign-out, in a real Chromium and through a real
// identity provider, and checks every page on the way with axe-core: nothing found, nothing wider than the screen.
//
//   node desk.mjs --desk http://localhost:8080 --width 390 [--no-script] [--keyboard] [--pictures FOLDER] officer sergeant …
//
// Each morning ends with an exit status of 1 on the first thing that is not as it should be, and says what.
import { readFileSync, mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createRequire } from 'node:module'
import puppeteer from 'puppeteer-core'

const { values: given, positionals: mornings } = parseArgs({
  allowPositionals: true,
  options: {
    desk: { type: 'string' }, width: { type: 'string', default: '1280' }, night: { type: 'string' },
    'no-script': { type: 'boolean' }, keyboard: { type: 'boolean' }, pictures: { type: 'string' },
    chromium: { type: 'string', default: process.env.CHROMIUM ?? '/usr/bin/chromium' },
  },
})
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const width = Number(given.width)
const logins = { officer: 'oscar', sergeant: 'harry', analyst: 'ann', auditor: 'aud' }

class Wrong extends Error {}
const must = (is, what) => { if (!is) throw new Wrong(what) }

// Browser is one person's: their pages, and what they do on them, by mouse or by keyboard alone.
class Person {
  constructor(page, who) { this.page = page; this.who = who; this.seen = 0 }

  async open(path, status = 200) {
    const answer = await this.page.goto(given.desk + path, { waitUntil: 'load' })
    must(answer.status() === status, `${path}: status ${answer.status()}, not ${status}`)
    await this.look()
  }

  // look holds every page against what all of them must be.
  async look(status = 200) {
    const path = new URL(this.page.url()).pathname
    if (!this.page.url().startsWith(given.desk)) return
    must(status < 400, `${path}: status ${status}: ${await this.page.evaluate(() => document.querySelector('[role=alert]')?.innerText)}`)
    // What looks at the page is itself a script; those of the page have had their time.
    await this.page.setJavaScriptEnabled(true)
    try { await this.hold(path) } finally { await this.page.setJavaScriptEnabled(!given['no-script']) }
  }

  async hold(path) {
    const wider = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    must(wider <= 0, `${path}: ${wider} pixels wider than a screen of ${width}`)
    const found = await this.page.evaluate(`${axe}; axe.run()`)
    for (const v of found.violations) {
      throw new Wrong(`${path}: axe: ${v.id}: ${v.help}: ${v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(', ')}`)
    }
    if (given.pictures) {
      mkdirSync(given.pictures, { recursive: true })
      await this.page.screenshot({ path: `${given.pictures}/${this.who}-${width}-${++this.seen}${path.replaceAll('/', '_')}.png`, fullPage: true })
    }
  }

  // first is the words of the first of some links under a heading.
  async first(links, under) {
    const words = await this.page.evaluate((links, under) => {
      const section = [...document.querySelectorAll('section')].find(s => s.querySelector('h2')?.textContent.trim().startsWith(under))
      return section?.querySelector(links)?.textContent.trim()
    }, links, under)
    must(words, `${this.page.url()}: there is no ${links} under ${under}`)
    return words
  }

  // press uses what a person would name by its words: a link or a button. Fields are filled in before.
  async press(words, ...fields) {
    for (const [label, text] of fields) await this.type(label, text)
    const it = await this.named('a, button, summary', words)
    const left = this.page.waitForNavigation({ waitUntil: 'load', timeout: 60_000 })
    if (given.keyboard) {
      await this.tabTo(it)
      await this.page.keyboard.press('Enter')
    } else {
      await it.click()
    }
    const answer = await left
    await this.look(answer?.status() ?? 200)
  }

  async type(label, text) {
    const it = await this.page.evaluateHandle(label => {
      const all = [...document.querySelectorAll('label')].filter(l => l.textContent.trim().startsWith(label))
      return all[0]?.control ?? null
    }, label)
    must(it.asElement(), `${this.page.url()}: no field is called "${label}"`)
    const tag = await it.evaluate(e => e.tagName)
    if (given.keyboard) await this.tabTo(it); else await it.asElement().focus()
    if (tag === 'SELECT') return this.page.keyboard.type(text)
    await this.page.keyboard.type(text)
  }

  async named(kind, words) {
    const it = await this.page.evaluateHandle((kind, words) =>
      [...document.querySelectorAll(kind)].find(e => e.textContent.trim().startsWith(words) && e.offsetParent !== null) ?? null, kind, words)
    must(it.asElement(), `${this.page.url()}: nothing is called "${words}"`)
    return it.asElement()
  }

  // tabTo goes on by Tab until the element has the focus, and the focus can be seen.
  async tabTo(it) {
    await this.page.evaluate(() => document.activeElement?.blur())
    for (let n = 0; n < 400; n++) {
      await this.page.keyboard.press('Tab')
      if (await it.evaluate(e => e === document.activeElement)) {
        const outline = await it.evaluate(e => getComputedStyle(e).outlineStyle)
        must(outline !== 'none', `${this.page.url()}: the focus cannot be seen`)
        return
      }
    }
    throw new Wrong(`${this.page.url()}: the keyboard does not reach "${await it.evaluate(e => e.textContent.trim())}"`)
  }

  async says(words) {
    const body = await this.page.evaluate(() => document.body.innerText)
    must(body.toLowerCase().includes(words.toLowerCase()), `${this.page.url()} does not say "${words}":\n${body}`)
  }

  async saysNot(words) {
    const body = await this.page.evaluate(() => document.documentElement.outerHTML)
    must(!body.includes(words), `${this.page.url()} says "${words}"`)
  }

  async signIn() {
    await this.open('/')
    await this.press('Sign in')
    await this.page.waitForSelector('input[name=login]')
    await this.page.type('input[name=login]', logins[this.who])
    await this.page.type('input[name=password]', 'any')
    await Promise.all([this.page.waitForNavigation(), this.page.keyboard.press('Enter')])
    for (let n = 0; n < 5 && !this.page.url().startsWith(given.desk); n++) { // the provider asks whether it may say who that is
      await Promise.all([this.page.waitForNavigation(), this.page.click('button[type=submit], input[type=submit]')])
    }
    await this.says('Tonight')
    await this.look()
  }

  async signOut() {
    await this.press('Sign out')
    await this.says('Sign in')
    await this.saysNot('Sign out')
  }
}

const walks = {
  // An officer reads what waits, decides on it, and sees that it is done.
  async officer(p) {
    await p.open(`/nights/${given.night}`)
    await p.says('Look at this before you decide')
    await p.press('Read the report')
    await p.type('Why', 'the briefing')
    await p.press('Show it')
    await p.page.goBack(); await p.page.goBack()
    await p.open(`/nights/${given.night}`)
    await p.type('Why you decide so', 'looked at all of it')
    await p.press('Approve')
    await p.says('approved by')
    await p.says('looked at all of it')
  },
  // A sergeant opens the page that the mail led to, takes one on in a tap from there, reads who it is, notes what was
  // done and closes it.
  async sergeant(p) {
    await p.open('/teams/Hackney')
    await p.press('Acknowledge')
    await p.says('acknowledged')
    await p.press(await p.first('a[href^="/taskings/"]', 'In hand'))
    await p.press('Note it', ['What has been done', 'Visited at home with the officer in the case.'])
    await p.says('Visited at home with the officer in the case.')
    const tasking = new URL(p.page.url()).pathname
    await p.open(`${tasking}/pack`)
    await p.press('Show it', ['Why', 'the visit'])
    await p.open(tasking)
    await p.press('Close it', ['Outcome', 'disrupted'])
    await p.says('closed')
    await p.open('/teams/Barnet', 404)
    await p.says('not yours to see')
  },
  // An analyst looks at the stack and the first on it, at what changed, and goes by a position and by an id.
  async analyst(p) {
    await p.open(`/nights/${given.night}/stack`)
    await p.press('Show the ids', ['Why you look at their ids', 'the briefing'])
    await p.open(`/nights/${given.night}/stack?from=1&sort=victims`)
    await p.open(`/nights/${given.night}/people/1`)
    await p.press('Show it', ['Why', 'the briefing'])
    await p.says('Why they stand there')
    await p.open(`/nights/${given.night}/changes`)
    await p.open('/search')
    await p.press('Go to the person', ['Position', '2'])
    await p.says('Why do you look')
    await p.open('/nights')
    await p.open('/meeting')
    await p.open('/teams')
    await p.open('/measures')
  },
  async auditor(p) {
    await p.open('/audit')
    await p.says('read the log')
    await p.type('Who', 'Oscar')
    await p.press('Show')
    await p.says('Oscar')
    await p.says('the briefing')
    await p.open('/measures')
    await p.says('of the stack was ever tasked')
  },
}

const browser = await puppeteer.launch({ executablePath: given.chromium, args: ['--no-sandbox'] })
let failed = false
for (const who of mornings) {
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  await page.setBypassCSP(true) // for axe, which is put into each page
  await page.setJavaScriptEnabled(!given['no-script'])
  await page.setViewport({ width, height: width < 600 ? 844 : 900 })
  const person = new Person(page, who)
  try {
    await person.signIn()
    await walks[who](person)
    await person.signOut()
    console.log(`${who}, ${width} px: well`)
  } catch (err) {
    failed = true
    console.log(`${who}, ${width} px: ${err instanceof Wrong ? err.message : err.stack}`)
  }
  await context.close()
}
await browser.close()
process.exit(failed ? 1 : 0)
