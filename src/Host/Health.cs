using Npgsql;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Host;

internal static class Health
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet("/health", () => Results.Json(new { status = "ok" })).AllowAnonymous().ExcludeFromDescription()
            .RequireCors(anybody => anybody.AllowAnyOrigin());     // Seed 001's front ends ask it too.
        app.MapGet("/health/ready", async (NpgsqlDataSource source, LiveKitApi livekit, TimeProvider clock, CancellationToken ct) =>
        {
            var database = await WorksAsync(async token =>
            {
                await using var probe = source.CreateCommand("SELECT 1");
                await probe.ExecuteScalarAsync(token);
            });
            var media = await WorksAsync(async token => await livekit.Rooms.ListAsync(["health"], token));
            return Results.Json(
                new { status = database && media ? "ready" : "not_ready", database, livekit = media },
                statusCode: database && media ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);

            async Task<bool> WorksAsync(Func<CancellationToken, Task> probe)
            {
                using var timeout = new CancellationTokenSource(Patience, clock);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
                try
                {
                    await probe(either.Token);
                    return true;
                }
                catch (Exception e) when (e is NpgsqlException or LiveKitApiException or HttpRequestException or OperationCanceledException or TimeoutException)
                {
                    return false;
                }
            }
        }).AllowAnonymous().ExcludeFromDescription();
    }
}
