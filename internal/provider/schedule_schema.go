package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// instantForm is how start_at, end_at and the elements of at are written.
const instantForm = "an RFC 3339 instant like `2026-12-24T17:00:00Z`, or a date and time in `time_zone` like `2026-12-24T18:00`"

func scheduleSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "When the job is due: exactly one of `cron`, `every`, `calendar` and `at`. Default: never by itself, only by hand.",
		Attributes:          scheduleAttributes(),
	}
}

// scheduleAttributes are those of a schedule, wherever one is written.
func scheduleAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"cron": schema.StringAttribute{
			Optional: true, CustomType: cronText,
			MarkdownDescription: "Cron expression of five fields (minute, hour, day of month, month, day of week), or six with seconds first, with names, ranges, steps and lists; " +
				"`L` (last day), `L-3`, `LW` and `15W` (nearest weekday) as day of month; `FRIL` (last Friday) and `MON#2` (second Monday) as day of week; " +
				"or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where both day fields are restricted either is enough; `calendar` wants both.",
		},
		"every": schema.StringAttribute{
			Optional: true, CustomType: everyText,
			MarkdownDescription: "Fixed interval, whole seconds, whatever the clock on the wall shows: " + durationForm + ".",
		},
		"anchor": schema.StringAttribute{
			Optional: true, CustomType: anchorText,
			MarkdownDescription: fmt.Sprintf("RFC 3339 instant that `every` counts from. Default: `%s`.", api.DefaultAnchor),
		},
		"calendar": calendarSchema(),
		"at": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Single instants, each " + instantForm + ".",
		},
		"time_zone": schema.StringAttribute{
			Optional: true, CustomType: zoneText,
			MarkdownDescription: fmt.Sprintf("IANA time zone of the schedule's dates and times and of the placeholders in uris, like `Europe/Berlin`. The host's zone never counts. Default: `%s`.", api.DefaultTimeZone),
		},
		"start_at": schema.StringAttribute{
			Optional: true, CustomType: startText,
			MarkdownDescription: "No occurrence before this: " + instantForm + ". One in the past makes no runs up for it. Default: no bound.",
		},
		"end_at": schema.StringAttribute{
			Optional: true, CustomType: endText,
			MarkdownDescription: "No occurrence at or after this, written like `start_at`. Default: no bound.",
		},
		"exclude_dates": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Dates in `time_zone`, like `2026-12-25`, without an occurrence. Default: none.",
		},
		"jitter": schema.StringAttribute{
			Optional: true, CustomType: jitterText,
			MarkdownDescription: "Spreads jobs that are due together: each is due later by a part of this that is its own and never changes. Whole seconds, shorter than the shortest time between occurrences: " +
				durationForm + ". Placeholders mean the instant before it is added. Default: none.",
		},
		"dst": schema.SingleNestedAttribute{
			Optional: true,
			MarkdownDescription: "What becomes of times of day that daylight saving removes or repeats: at least one of `missing` and `repeated`. Not with `every`, which is blind to the wall clock. " +
				"An *hourly* rule is one that can fire in every hour of the day; any other is *fixed*.",
			Attributes: map[string]schema.Attribute{
				"missing": schema.StringAttribute{
					Optional: true, CustomType: missingText,
					MarkdownDescription: fmt.Sprintf("Of a fixed rule, when the clock jumps over its time: `%s` runs at the first instant after the gap, `%s` does not run that day. An hourly rule has no time there. Default: `%s`.",
						api.MissingRunAfter, api.MissingSkip, api.DefaultMissing),
				},
				"repeated": schema.StringAttribute{
					Optional: true, CustomType: repeatedText,
					MarkdownDescription: fmt.Sprintf("When the clock shows a time twice: `%s`, `%s` or `%s`; `%s` is both for an hourly rule and the first for a fixed one. Default: `%s`.",
						api.RepeatedFirst, api.RepeatedLast, api.RepeatedBoth, api.RepeatedAuto, api.DefaultRepeated),
				},
			},
		},
	}
}

func calendarSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A rule in words: on the days that `months`, `days_of_month` and `weekdays` all allow, at each of `minutes` in each of `hours`.",
		Attributes: map[string]schema.Attribute{
			"months": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Months, `jan` to `dec` or `1` to `12`. Default: every month.",
			},
			"days_of_month": schema.ListAttribute{
				Optional: true, ElementType: types.Int64Type,
				MarkdownDescription: "Days of the month, 1 to 31, or from its end: -1 (the last day) to -28. Default: every day.",
			},
			"weekdays": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Days of the week, `sun` to `sat`; `mon#2` is the second Monday of the month, `fri#-1` the last Friday. Default: every day.",
			},
			"hours": schema.ListAttribute{
				Required: true, ElementType: types.Int64Type,
				MarkdownDescription: "Hours of the day, 0 to 23.",
			},
			"minutes": schema.ListAttribute{
				Optional: true, ElementType: types.Int64Type,
				MarkdownDescription: "Minutes of the hour, 0 to 59. Default: `[0]`.",
			},
			"on_short_month": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What a day above 28 is in a month without it: `%s`, the month's last day, or `%s`, no day at all. Required where such a day is listed.",
					api.ShortMonthLastDay, api.ShortMonthSkip),
			},
		},
	}
}

func catchUpSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: fmt.Sprintf("What becomes of occurrences that were missed because the runner was down or its host asleep. Without `catch_up`: mode `%s`, however old.",
			api.DefaultCatchUp),
		Attributes: map[string]schema.Attribute{
			"mode": schema.StringAttribute{
				Required: true,
				MarkdownDescription: fmt.Sprintf("`%s` runs the newest missed one, `%s` runs the newest `max_runs`, oldest first, one after another, `%s` only records them.",
					api.CatchUpLatest, api.CatchUpAll, api.CatchUpNone),
			},
			"window": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: "How old a missed occurrence may be and still run: " + durationForm + ". Default: however old.",
			},
			"max_runs": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("How many missed ones mode `%s` runs, 1 to 1000. Default: `%d`.", api.CatchUpAll, api.DefaultMaxRuns),
			},
		},
	}
}
