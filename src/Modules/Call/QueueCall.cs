using System.Text.Json;
using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Dialling;
using VoicePlatform.Calls.Recording;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Contracts.Trunks;

namespace VoicePlatform.Calls;

/// <summary>An outbound call by whichever door: queued with its hold and its event, once for a key.</summary>
internal sealed record QueueCall(OutboundRequest Request) : ICommand<CallView>
{
    internal sealed class Validator : AbstractValidator<QueueCall>
    {
        private const int MaxEntries = 100;
        private const int MaxJson = 16 * 1024;
        private static readonly TimeSpan LongestAhead = TimeSpan.FromDays(90);

        public Validator(TimeProvider clock)
        {
            RuleFor(c => c.Request.AssistantId).Must(id => Ids.IsWellFormed(id, Ids.Assistant)).WithMessage("'assistant_id' must be an assistant's id.");
            RuleFor(c => c.Request.TrunkId).Must(id => Ids.IsWellFormed(id, Ids.Trunk)).When(c => !c.Request.IsTest).WithMessage("'trunk_id' must be a trunk's id.");
            RuleFor(c => c.Request.ToNumber).Must(E164.IsValid).WithMessage($"'to_number' {E164.Hint}");
            RuleFor(c => c.Request.FromNumber).Must(E164.IsValid).When(c => c.Request.FromNumber is not null).WithMessage($"'from_number' {E164.Hint}");
            RuleFor(c => c.Request.Metadata).Must(IsSmallObject).WithMessage("'metadata' must be an object of up to 16 KB.");
            RuleFor(c => c.Request.AssistantOverrides).Must(IsSmallObject).WithMessage("'assistant_overrides' must be an object of up to 16 KB.");
            RuleFor(c => c.Request.Variables).Must(v => v is null || (v.Count <= MaxEntries && v.All(p => p.Key.Length <= 64 && p.Value is { Length: <= 4000 })))
                .WithMessage("'variables' may have 100 texts of 4000 characters.");
            RuleFor(c => c.Request.ScheduleAt).Must(at => at is null || at < clock.GetUtcNow() + LongestAhead).WithMessage("'schedule_at' must be within 90 days.");
            RuleFor(c => c.Request.QueueTtlS).InclusiveBetween(5, 604_800);
            RuleFor(c => c.Request.RingTimeoutS).InclusiveBetween(5, 80);
            RuleFor(c => c.Request.MaxDurationS).InclusiveBetween(10, 14_400);
            RuleFor(c => c.Request.Priority).InclusiveBetween(-100, 100);
            RuleFor(c => c.Request.Voicemail!.Message).NotNull().MaximumLength(4_000).When(c => c.Request.Voicemail is not null);
            RuleFor(c => c.Request.Voicemail!.Message).NotEmpty().When(c => c.Request.Voicemail is { Action: VoicemailAction.LeaveMessage })
                .WithMessage("'voicemail.message' is needed to leave one.");
            RuleFor(c => c.Request.Retry!.MaxAttempts).InclusiveBetween(1, 10).When(c => c.Request.Retry is not null);
            RuleFor(c => c.Request.Retry!.DelayS).InclusiveBetween(1, 86_400).When(c => c.Request.Retry is not null);
            RuleFor(c => c.Request.Retry!.On).Must(on => on is null || on.All(s => s is CallStatus.Busy or CallStatus.NoAnswer)).When(c => c.Request.Retry is not null)
                .WithMessage("A call is tried again after busy or no_answer only: nothing else is sure not to have rung.");
            RuleFor(c => c.Request.WebhookUrl).MaximumLength(2_000);

            // The sender wrote these fields at the top of his request.
            foreach (var rule in this)
            {
                rule.PropertyName = rule.PropertyName["Request.".Length..];
            }

            static bool IsSmallObject(JsonElement? json) => json is null || (json.Value.ValueKind is JsonValueKind.Object && json.Value.GetRawText().Length <= MaxJson);
        }
    }
}

internal sealed class QueueCallHandler(
    CallDb db, UnitOfWork unit, IMediator mediator, Recordings recordings, TestLine testLine, [FromKeyedServices(typeof(Dialler))] WakeUp dialler, TimeProvider clock)
    : IRequestHandler<QueueCall, Result<CallView>>
{
    public async Task<Result<CallView>> Handle(QueueCall queue, CancellationToken ct)
    {
        var request = queue.Request;
        var assistant = await mediator.Send(new FindAssistant(request.TenantId, request.AssistantId, null, request.AssistantOverrides?.GetRawText(), request.IsTest), ct);
        if (!assistant.IsOk)
        {
            return assistant.Error;
        }

        if (assistant.Value.Document.Architecture is Architecture.Text)
        {
            return Error.Field("assistant_id", "text_only", "This assistant answers in text only: it cannot hold a telephone call.");
        }

        var providers = await mediator.Send(new FindProviders(request.TenantId, assistant.Value.Document, Voice: true), ct);
        if (!providers.IsOk)
        {
            return providers.Error;
        }

        var found = await LineAsync(request, ct);
        if (!found.IsOk)
        {
            return found.Error;
        }

        if (request.WebhookUrl is { } url && (await mediator.Send(new CheckTenantUrl(url), ct)).Value.Refusal is { } refusal)
        {
            return Error.Field("webhook_url", "not_allowed", refusal);
        }

        var now = clock.GetUtcNow();
        var line = found.Value;
        var call = Call.Queue(request with { TrunkId = line.TrunkId }, assistant.Value, request.FromNumber ?? line.Numbers[0], now);
        db.Calls.Add(call);
        await db.SaveChangesAsync(ct);
        await unit.KeepLaneAsync(call.TrunkId, call.TenantId, line.CallsPerSecond, line.MaxConcurrent, now, ct);
        await unit.EnqueueAsync(call.Id, call.TrunkId, request.Priority, call.ScheduleAt ?? now, now, ct);
        await unit.NoteAsync(call.Id, now, "call.queued", "", ct);
        var view = CallView.Of(call, recordings.LinkOf(call));
        await mediator.Send(new Announce(call.TenantId, "call.queued", call.Id, Json.Write(view), call.IsTest), ct);
        if (!call.IsTest)
        {
            var held = await mediator.Send(new HoldForCall(call.TenantId, call.Id, call.AssistantId, call.Direction, call.ToNumber, call.Record, call.MaxDurationS), ct);
            if (!held.IsOk)
            {
                return held.Error;
            }
        }

        unit.AfterCommit(dialler.Wake);
        return view;
    }

    /// <summary>The tenant's trunk, or what stands for one in test mode.</summary>
    private async Task<Result<OutboundTrunk>> LineAsync(OutboundRequest request, CancellationToken ct)
    {
        if (request.IsTest)
        {
            return testLine.Address() is null
                ? TestLine.Missing
                : new OutboundTrunk(TestLine.TrunkOf(request.TenantId), "test", [request.FromNumber ?? TestLine.From], null, null, null);
        }

        var trunk = await mediator.Send(new FindOutboundTrunk(request.TenantId, request.TrunkId), ct);
        return !trunk.IsOk ? CallErrors.NoTrunk
            : request.FromNumber is { } from && !trunk.Value.Numbers.Contains(from) ? CallErrors.NotYours
            : trunk;
    }
}
