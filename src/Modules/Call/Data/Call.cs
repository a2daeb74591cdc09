using System.Text.Json;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Data;

internal enum CallStatus { Queued, Dialing, Ringing, InProgress, Completed, Busy, NoAnswer, Rejected, Canceled, Failed, Voicemail }

internal enum Fault { Callee, Carrier, Tenant, Platform }

internal enum RecordingStatus { Starting, Active, Ready, Failed }

/// <summary>When a call is to be tried again.</summary>
/// <param name="MaxAttempts">How often the number may ring in all, 1 to 10.</param>
/// <param name="On">busy, no_answer.</param>
/// <param name="DelayS">Seconds from the end of one attempt to the next, 1 to 86,400.</param>
internal sealed record RetryRule(int MaxAttempts = 1, IReadOnlyList<CallStatus>? On = null, int DelayS = 60)
{
    public bool Allows(Outcome outcome, int dialed) =>
        outcome.IsRetryable && dialed < MaxAttempts && (On ?? [CallStatus.Busy, CallStatus.NoAnswer]).Contains(outcome.Status);
}

internal sealed class Call
{
    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public CallDirection Direction { get; private init; }
    public CallStatus Status { get; private set; }
    public string AssistantId { get; private init; } = "";
    public int AssistantVersion { get; private init; }
    public string AssistantName { get; private init; } = "";
    public string TrunkId { get; private init; } = "";
    public string? NumberId { get; private init; }

    /// <summary>E.164; empty where the caller withholds it.</summary>
    public string FromNumber { get; private init; } = "";
    public string ToNumber { get; private init; } = "";
    public bool IsTest { get; private init; }
    public string Metadata { get; private init; } = "{}";
    public string Variables { get; private init; } = "{}";
    public string? Overrides { get; private init; }
    public string Voicemail { get; private init; } = "{}";
    public string Retry { get; private init; } = "{}";
    public int Priority { get; private init; }
    public DateTimeOffset? ScheduleAt { get; private init; }
    public DateTimeOffset? ExpiresAt { get; private set; }
    public int RingTimeoutS { get; private init; }
    public int MaxDurationS { get; private init; }
    public string? WebhookUrl { get; private init; }
    public string? EndCallUrl { get; private init; }
    public bool IsSeed003 { get; private init; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset? StartedAt { get; private set; }
    public DateTimeOffset? RingingAt { get; private set; }
    public DateTimeOffset? AnsweredAt { get; private set; }
    public DateTimeOffset? EndedAt { get; private set; }
    public string? EndedReason { get; private set; }
    public string? Cause { get; private set; }
    public Fault? Fault { get; private set; }
    public int? SipStatusCode { get; private set; }
    public string? SipReason { get; private set; }
    public DateTimeOffset? CancelRequestedAt { get; private set; }
    public DateTimeOffset? DeadlineAt { get; private set; }
    public int Attempts { get; private set; }
    public int Dialed { get; private set; }
    public string? SessionId { get; private set; }
    public string? RoomName { get; private set; }
    public string? ParticipantIdentity { get; private set; }

    /// <summary>Micro-credits; once ended.</summary>
    public long? Cost { get; private set; }
    public string? CostLines { get; private set; }
    public string? TransactionId { get; private set; }
    public bool Record { get; private init; }
    public bool RecordSeparate { get; private init; }
    public RecordingStatus? RecordingStatus { get; private set; }
    public string? RecordingPath { get; private set; }
    public bool? RecordingInBucket { get; private set; }
    public string? RecordingEgressId { get; private set; }
    public long? RecordingDurationMs { get; private set; }
    public long? RecordingSize { get; private set; }

    /// <summary>Since when its file is to be removed; null: it is wanted.</summary>
    public DateTimeOffset? RecordingUnwantedAt { get; private set; }

    public bool IsOver => EndedAt is not null;

    public RetryRule RetryRule => Json.Read<RetryRule>(Retry);

    public PhoneCall Phone => new(Id, Direction, FromNumber, ToNumber, Json.Read<VoicemailSettings>(Voicemail));

    public double? DurationS => AnsweredAt is { } from && EndedAt is { } to ? Math.Round((to - from).TotalSeconds, 3) : null;

    public static Call Queue(OutboundRequest request, AssistantVersion assistant, string from, DateTimeOffset now)
    {
        var document = assistant.Document;
        return new()
        {
            Id = Ids.New(Ids.Call, now),
            TenantId = request.TenantId,
            Direction = CallDirection.Outbound,
            Status = CallStatus.Queued,
            AssistantId = assistant.AssistantId,
            AssistantVersion = assistant.Version,
            AssistantName = document.Name,
            TrunkId = request.TrunkId,
            FromNumber = from,
            ToNumber = request.ToNumber,
            IsTest = request.IsTest,
            Metadata = request.Metadata?.GetRawText() ?? "{}",
            Variables = Json.Write(request.Variables ?? new Dictionary<string, string>()),
            Overrides = request.AssistantOverrides?.GetRawText(),
            Voicemail = Json.Write(request.Voicemail ?? document.Voicemail),
            Retry = Json.Write(request.Retry ?? new()),
            Priority = request.Priority,
            ScheduleAt = request.ScheduleAt,
            ExpiresAt = (request.ScheduleAt > now ? request.ScheduleAt.Value : now) + TimeSpan.FromSeconds(request.QueueTtlS ?? OutboundRequest.DefaultQueueTtlS),
            RingTimeoutS = request.RingTimeoutS ?? OutboundRequest.DefaultRingTimeoutS,
            MaxDurationS = request.MaxDurationS ?? document.Limits.MaxDurationS,
            WebhookUrl = request.WebhookUrl,
            EndCallUrl = document.EndCallUrl,
            IsSeed003 = request.IsSeed003,
            CreatedAt = now,
            Record = request.Record ?? document.Recording.Enabled,
            RecordSeparate = document.Recording.Channels is RecordingChannels.Separate,
        };
    }

    /// <summary>A call that rings here now.</summary>
    public static Call Ring(InboundRing ring, AssistantVersion assistant, DateTimeOffset now)
    {
        var document = assistant.Document;
        return new()
        {
            Id = Ids.New(Ids.Call, now),
            TenantId = ring.Number.TenantId,
            Direction = CallDirection.Inbound,
            Status = CallStatus.Ringing,
            AssistantId = assistant.AssistantId,
            AssistantVersion = assistant.Version,
            AssistantName = document.Name,
            TrunkId = ring.Number.TrunkId,
            NumberId = ring.Number.NumberId,
            FromNumber = ring.FromNumber,
            ToNumber = ring.Number.Number,
            Metadata = ring.MetadataJson,
            Variables = Json.Write(ring.Variables),
            Voicemail = Json.Write(new VoicemailSettings()),
            Retry = Json.Write(new RetryRule()),
            MaxDurationS = document.Limits.MaxDurationS,
            EndCallUrl = document.EndCallUrl,
            CreatedAt = now,
            StartedAt = now,
            RingingAt = now,
            DeadlineAt = now + TimeSpan.FromSeconds(60 + document.Limits.MaxDurationS),
            RoomName = ring.RoomName,
            ParticipantIdentity = ring.ParticipantIdentity,
            Record = document.Recording.Enabled,
            RecordSeparate = document.Recording.Channels is RecordingChannels.Separate,
        };
    }

    public void Link(string sessionId, string roomName, string participantIdentity) => (SessionId, RoomName, ParticipantIdentity) = (sessionId, roomName, participantIdentity);

    public void Rang(DateTimeOffset at)
    {
        if (Status is CallStatus.Dialing)
        {
            (Status, RingingAt) = (CallStatus.Ringing, at);
        }
    }

    /// <summary>False when it was answered before, or is over.</summary>
    public bool Answer(DateTimeOffset at)
    {
        if (Status is not (CallStatus.Dialing or CallStatus.Ringing))
        {
            return false;
        }

        (Status, AnsweredAt) = (CallStatus.InProgress, at);
        return true;
    }

    public void RequestCancel(DateTimeOffset now) => CancelRequestedAt ??= now;

    /// <summary>Back into the queue: nothing was sent, or the number is to be tried again.</summary>
    public void Requeue(DateTimeOffset? notBefore)
    {
        (Status, RingingAt, DeadlineAt, SessionId, RoomName) = (CallStatus.Queued, null, null, null, null);
        if (notBefore is { } at && ExpiresAt < at + TimeSpan.FromMinutes(1))
        {
            ExpiresAt = at + TimeSpan.FromMinutes(1);
        }
    }

    /// <summary>False when it was over.</summary>
    public bool End(Outcome outcome, string reason, Contracts.Billing.Charge charge, DateTimeOffset? answeredAt, DateTimeOffset endedAt)
    {
        if (IsOver)
        {
            return false;
        }

        (Status, Cause, Fault, SipStatusCode, SipReason) = (outcome.Status, outcome.Cause, outcome.Fault, outcome.SipStatusCode, outcome.SipReason);
        (EndedReason, EndedAt, AnsweredAt) = (reason, endedAt, AnsweredAt ?? answeredAt);
        (Cost, CostLines, TransactionId) = (charge.Cost, Json.Write(charge.Lines), charge.TransactionId);
        return true;
    }

    /// <summary>What was charged after the end.</summary>
    public void Adjust(Contracts.Billing.Charge charge) => (Cost, CostLines) = (
        (Cost ?? 0) + charge.Cost, Json.Write(Json.Read<List<Contracts.Billing.ChargeLine>>(CostLines ?? "[]").Concat(charge.Lines)));

    public void PlanRecording(string path, bool inBucket) =>
        (RecordingStatus, RecordingPath, RecordingInBucket) = (Data.RecordingStatus.Starting, path, inBucket);

    public void RecordingRuns(string egressId)
    {
        if (RecordingStatus is Data.RecordingStatus.Starting)
        {
            (RecordingStatus, RecordingEgressId) = (Data.RecordingStatus.Active, egressId);
        }
    }

    /// <summary>False when that was known.</summary>
    public bool RecordingEnded(string error, TimeSpan duration, long size)
    {
        if (RecordingStatus is Data.RecordingStatus.Ready or Data.RecordingStatus.Failed)
        {
            return false;
        }

        // An aborted recording may have written something; without a byte there is none.
        RecordingStatus = error.Length > 0 && size == 0 ? Data.RecordingStatus.Failed : Data.RecordingStatus.Ready;
        (RecordingDurationMs, RecordingSize) = ((long)duration.TotalMilliseconds, size);
        return true;
    }

    /// <summary>Its file is no more: as if it had never been recorded.</summary>
    public void RemoveRecording() =>
        (RecordingStatus, RecordingPath, RecordingInBucket, RecordingEgressId, RecordingDurationMs, RecordingSize, RecordingUnwantedAt) = (null, null, null, null, null, null, null);
}

/// <summary>An outbound call as it is asked for, by whichever door.</summary>
internal sealed record OutboundRequest(
    string TenantId, bool IsTest, string AssistantId, string TrunkId, string ToNumber, string? FromNumber, JsonElement? Metadata, IReadOnlyDictionary<string, string>? Variables,
    JsonElement? AssistantOverrides, DateTimeOffset? ScheduleAt, int? QueueTtlS, int? RingTimeoutS, int? MaxDurationS, bool? Record, VoicemailSettings? Voicemail,
    RetryRule? Retry, string? WebhookUrl, int Priority, bool IsSeed003)
{
    public const int DefaultQueueTtlS = 3_600;
    public const int DefaultRingTimeoutS = 30;
}

/// <summary>A telephone that rings in one of our rooms.</summary>
internal sealed record InboundRing(
    Contracts.Trunks.InboundNumber Number, string RoomName, string ParticipantIdentity, string FromNumber, IReadOnlyDictionary<string, string> Variables, string MetadataJson);
