package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func predictSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "Who predicts, and how to talk to it: exactly one of `server`, `endpoint` and `program`.",
		Attributes: map[string]schema.Attribute{
			"protocol": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What the prediction server speaks: `%s` (Open Inference Protocol: KServe, MLServer, Triton, …) or `%s` (TensorFlow Serving's REST API). Required but with `program`.",
					api.ProtocolOIPv2, api.ProtocolTFv1),
			},
			"model": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "The model on the server. Required but with `program`.",
				Attributes: map[string]schema.Attribute{
					"name":    schema.StringAttribute{Required: true, MarkdownDescription: "Its name."},
					"version": schema.StringAttribute{Optional: true, MarkdownDescription: "Its version. Default: the one the server takes."},
				},
			},
			"features": featuresSchema(),
			"outputs": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Columns of the result: name to output of the model, with an index where one value of it is wanted (`predict_proba[1]`), or a JSON pointer into a record's prediction (`/scores/0`). Default: every output under its own name.",
			},
			"nan": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What becomes of a prediction that is NaN or infinite, for which JSON has no number: `%s`, `%s` (its text), or `%s`, which makes the record a dead letter. Default: `%s`.",
					api.NaNNull, api.NaNString, api.NaNError, api.DefaultNaN),
			},
			"rows_per_request": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Records in one request, 1 to 100,000; not with `program` per `%s`, where a mini-batch is one. Default: `%d`.", api.PerMiniBatch, api.DefaultRowsPerRequest),
			},
			"request_timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long one request may take: %s. Default: `%s`.", durationForm, api.DefaultRequestTimeout),
			},
			"requests": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("`%s`: a server that finds requests too large gets smaller ones for the rest of the run; `%s`: their size never changes. Default: `%s`.",
					api.RequestsAdaptive, api.RequestsFixed, api.DefaultRequests),
			},
			"permanent_statuses": schema.ListAttribute{
				Optional: true, ElementType: types.Int64Type,
				MarkdownDescription: "HTTP statuses, 400 to 599, by which this server refuses a record for good, whatever they mean elsewhere: the record is looked for and becomes a dead letter. Default: none.",
			},
			"transient_statuses": schema.ListAttribute{
				Optional: true, ElementType: types.Int64Type,
				MarkdownDescription: "HTTP statuses, 400 to 599, that pass, whatever they mean elsewhere: the request is tried again. Default: none.",
			},
			"golden": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "A record that the model is known to answer, a cell for each of `features.columns`: the first request to a new server, and, before any record has succeeded, what tells that a sick server answers again. " +
					"Default: the first records of the input.",
			},
			"on_model_change": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What a run does when a server that it launches later serves another model than its first: `%s`, or `%s`, with the model of each mini-batch in the manifest. Default: `%s`.",
					api.ModelChangeFail, api.ModelChangeContinue, api.DefaultOnModelChange),
			},
			"server": serverSchema(),
			"endpoint": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A prediction server that runs already.",
				Attributes: map[string]schema.Attribute{
					"url": schema.StringAttribute{Required: true, MarkdownDescription: "Its address: `http://host:port` or `https://host:port`, with a base path if it has one."},
				},
			},
			"program": programSchema(),
		},
	}
}

func featuresSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "What is sent of each record: exactly one of `columns` and `exclude`.",
		Attributes: map[string]schema.Attribute{
			"columns": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Input columns to send, in the model's order.",
			},
			"exclude": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Input columns not to send: all others are sent, in the input's order, but `input.key` and what only `output.keep` names. `[]` names no others.",
			},
			"as": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("Shape: `%s` is one tensor of all columns, `%s` one tensor for each (`%s`: objects). Default: `%s`.",
					api.AsMatrix, api.AsColumns, api.ProtocolTFv1, api.DefaultAs),
			},
			"name": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Name of the matrix's tensor, with `%s` only. Default: what the server's metadata says, else `input-0`.", api.ProtocolOIPv2),
			},
			"datatype": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Datatype of the tensors like `FP32`, with `%s` only. Default: what the server's metadata says, else `FP64`.", api.ProtocolOIPv2),
			},
		},
	}
}

func serverSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "A prediction server that the runner launches for each run, and stops with it.",
		Attributes: map[string]schema.Attribute{
			"command": schema.ListAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "Program and arguments, without a shell; a program without a path is looked for in the `PATH` of whoever started the runner. `{port}`, `{model_name}` and `{model_version}` are replaced; the port is in the environment variable `PORT` too.",
			},
			"working_dir": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Absolute path of the folder to start it in. Default: the runner's.",
			},
			"env": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Environment variables, with the placeholders of `command`, beside `PATH`, `HOME`, `LANG`, `TZ` and `PORT`. Default: none.",
			},
			"secret_env": schema.MapNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Environment variables whose values are secrets, read by the runner when it launches the server. Default: none.",
				NestedObject:        schema.NestedAttributeObject{Attributes: secretAttributes()},
			},
			"start_timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long the server may show no sign of life until its model is ready: %s. Default: `%s`.", durationForm, api.DefaultStartTimeout),
			},
			"replicas": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Servers launched side by side, 1 to 64; they share the run's `parallelism`. Default: `%d`.", api.DefaultReplicas),
			},
			"model_files": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Absolute paths or globs of the model's files: their content belongs to what is compared when a server is launched again (`on_model_change`). Default: none.",
			},
			"price_per_hour": schema.StringAttribute{
				Optional: true, CustomType: priceText,
				MarkdownDescription: "What an hour of one server costs, like `0.35` or `0.35 EUR`, for the cost of runs. Default: no cost is told.",
			},
		},
	}
}

func programSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "A program that predicts: a JSON object per record and line on its standard input, a JSON value per prediction and line on its standard output, in the same order. " +
			"It ends with 0 after its last line; 10 says that it may work another time, 11 that it never will with these records, 12 that its input is bad.",
		Attributes: map[string]schema.Attribute{
			"command": schema.ListAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "Program and arguments, without a shell and without placeholders; a program without a path is looked for in the `PATH` of whoever started the runner.",
			},
			"working_dir": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Absolute path of the folder to start it in. Default: the runner's.",
			},
			"env": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Environment variables, beside `PATH`, `HOME`, `LANG` and `TZ`. Default: none.",
			},
			"secret_env": schema.MapNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Environment variables whose values are secrets, read by the runner when it starts the program. Default: none.",
				NestedObject:        schema.NestedAttributeObject{Attributes: secretAttributes()},
			},
			"per": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("`%s`: processes live as long as the run, one for each request in flight, and get its requests one after another; `%s`: each mini-batch has a process of its own, which reads it to the end. Default: `%s`.",
					api.PerSlot, api.PerMiniBatch, api.DefaultPer),
			},
		},
	}
}
