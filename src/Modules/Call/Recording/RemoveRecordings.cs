using Dapper;
using Npgsql;
using VoicePlatform.Calls.Data;

namespace VoicePlatform.Calls.Recording;

/// <summary>
/// Removes recordings whose time is over: first the file, then what is known of it, so that whatever comes between begins again. One that cannot be removed
/// (its store is away, it is not at its end, its file is on another host) is come back to with the next run.
/// </summary>
internal sealed class RemoveRecordings(NpgsqlDataSource source, IServiceScopeFactory scopes, Recordings recordings, ILogger<RemoveRecordings> log) : IScheduledJob
{
    private const int PageSize = 500;

    public string Name => "call.remove-recordings";

    public Schedule Schedule => new Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        List<string> page;
        for (var after = ""; ; after = page[^1])
        {
            await using (var connection = await source.OpenConnectionAsync(ct))
            {
                page = [.. await connection.QueryAsync<string>(new(
                    "SELECT id FROM call.calls WHERE recording_unwanted_at IS NOT NULL AND id > @after ORDER BY id LIMIT @PageSize", new { after, PageSize }, cancellationToken: ct))];
            }

            foreach (var id in page)
            {
                try
                {
                    await RemoveAsync(id, ct);
                }
                catch (Exception e) when (!ct.IsCancellationRequested)
                {
                    CallLog.RecordingNotRemoved(log, id, e);
                }
            }

            if (page.Count < PageSize)
            {
                return;
            }
        }
    }

    private async Task RemoveAsync(string id, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        var call = await scope.ServiceProvider.GetRequiredService<CallDb>().Calls.AsNoTracking().SingleAsync(c => c.Id == id, ct);
        if (call is { RecordingStatus: RecordingStatus.Ready or RecordingStatus.Failed, RecordingPath: not null })
        {
            await recordings.DeleteAsync(call, ct);
            await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new NoteRecordingRemoved(id), ct);
        }
    }
}
