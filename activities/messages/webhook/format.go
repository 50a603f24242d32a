package webhook

import "strings"

// Format is how an event is written.
type Format string

// The formats. Teams and Slack show a person the event's Text and Link; they neither look at a signature nor drop what
// they have already.
const (
	CloudEvents Format = "cloudevents"
	Teams       Format = "teams"
	Slack       Format = "slack"
)

// object is one of JSON.
type object = map[string]any

func (f Format) body(e Event) (content any, contentType string) {
	switch f {
	case Teams:
		return teams(e), "application/json"
	case Slack:
		return slack(e), "application/json"
	}
	event := cloudEvent{"1.0", e.ID, e.Source, e.Type, e.Subject, e.Time.UTC(), "application/json", e.Data}
	return event, "application/cloudevents+json"
}

// teams is a message with an Adaptive Card, as an incoming webhook of Microsoft Teams takes it. A TextRun shows what it
// holds; a TextBlock would read it as Markdown.
func teams(e Event) object {
	card := object{
		"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
		"body": []any{object{"type": "RichTextBlock", "inlines": []any{object{"type": "TextRun", "text": e.Text}}}},
	}
	if e.Link != "" {
		card["actions"] = []any{object{"type": "Action.OpenUrl", "title": "Open the desk", "url": e.Link}}
	}
	return object{"type": "message", "attachments": []any{
		object{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card},
	}}
}

// slackText writes a text so that Slack's mrkdwn reads nothing into it but its words.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slack is a message as an incoming webhook of Slack takes it: the text is what a notification shows, the blocks are what
// the channel does.
func slack(e Event) object {
	blocks := []any{object{"type": "section", "text": object{"type": "plain_text", "text": e.Text}}}
	if e.Link != "" {
		link := object{"type": "mrkdwn", "text": "<" + slackText.Replace(e.Link) + "|Open the desk>"}
		blocks = append(blocks, object{"type": "section", "text": link})
	}
	return object{"text": slackText.Replace(e.Text), "blocks": blocks}
}
