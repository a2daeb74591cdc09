using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Calls.Recording;

internal sealed record NoteRecordingRuns(string CallId, string EgressId) : ICommand<Done>;

/// <summary>The recorder is done: the tenant is told once.</summary>
internal sealed record NoteRecordingEnded(string CallId, string Error, TimeSpan Duration, long Size) : ICommand<Done>;

/// <summary>The recording's file was removed, because its time is over.</summary>
internal sealed record NoteRecordingRemoved(string CallId) : ICommand<Done>;

internal sealed class NoteRecordingRunsHandler(CallDb db) : IRequestHandler<NoteRecordingRuns, Result<Done>>
{
    public async Task<Result<Done>> Handle(NoteRecordingRuns request, CancellationToken cancellationToken)
    {
        var call = (await db.LockedAsync(request.CallId, cancellationToken))!;
        call.RecordingRuns(request.EgressId);
        await db.SaveChangesAsync(cancellationToken);
        return default(Done);
    }
}

internal sealed class NoteRecordingRemovedHandler(CallDb db, UnitOfWork unit, TimeProvider clock) : IRequestHandler<NoteRecordingRemoved, Result<Done>>
{
    public async Task<Result<Done>> Handle(NoteRecordingRemoved request, CancellationToken cancellationToken)
    {
        var call = (await db.LockedAsync(request.CallId, cancellationToken))!;
        if (call.RecordingPath is null)
        {
            return default(Done);
        }

        call.RemoveRecording();
        await db.SaveChangesAsync(cancellationToken);
        await unit.NoteAsync(call.Id, clock.GetUtcNow(), "recording.removed", "", cancellationToken);
        return default(Done);
    }
}

internal sealed class NoteRecordingEndedHandler(CallDb db, UnitOfWork unit, IMediator mediator, Recordings recordings, TimeProvider clock)
    : IRequestHandler<NoteRecordingEnded, Result<Done>>
{
    public async Task<Result<Done>> Handle(NoteRecordingEnded request, CancellationToken cancellationToken)
    {
        var call = (await db.LockedAsync(request.CallId, cancellationToken))!;
        if (!call.RecordingEnded(request.Error, request.Duration, request.Size))
        {
            return default(Done);
        }

        await db.SaveChangesAsync(cancellationToken);
        var ready = call.RecordingStatus is RecordingStatus.Ready;
        await unit.NoteAsync(call.Id, clock.GetUtcNow(), ready ? "recording.ready" : "recording.failed", request.Error, cancellationToken);
        var data = new
        {
            call_id = call.Id,
            recording = new RecordingView(recordings.LinkOf(call)!, call.RecordingStatus, call.RecordingDurationMs / 1000.0, call.RecordingSize),
            error = ready ? null : request.Error,
        };
        await mediator.Send(
            new Announce(
                call.TenantId, ready ? "recording.ready" : "recording.failed", call.Id, Json.Write(data), call.IsTest, call.WebhookUrl is { } url ? [new AlsoTo(url)] : null),
            cancellationToken);
        return default(Done);
    }
}
