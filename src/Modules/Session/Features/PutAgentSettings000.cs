using System.Text.Json;
using System.Text.Json.Nodes;
using Dapper;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>Seed 000's settings of a device, replaced as a whole. Speech providers and their keys are not a device's to set: they are dropped.</summary>
internal static class PutAgentSettings000
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapPut("/agent-settings/{deviceId}", async (string deviceId, JsonElement settings, IMediator mediator, CancellationToken ct) =>
            (Device000.RefusalOf(deviceId) ?? RefusalOf(settings)) is { } refusal
                ? refusal.ToHttp()
                : (await mediator.Send(new Command(deviceId, DeviceSettings.Kept(settings).ToJsonString()), ct)).ToHttp(r => Results.Json(r, Json.Options)))
        .WithName(nameof(PutAgentSettings000))
        .Produces<JsonObject>();

    public sealed record Command(string DeviceId, string Settings) : ICommand<JsonObject>;

    private static Error? RefusalOf(JsonElement settings) =>
        settings.ValueKind is JsonValueKind.Object && settings.GetRawText().Length <= DeviceSettings.MaxLength
            ? null
            : Error.Field("", "invalid", "The body must be an object of up to 16 KB.");

    internal sealed class Handler(UnitOfWork unit, Caller caller, TimeProvider clock) : IRequestHandler<Command, Result<JsonObject>>
    {
        public async Task<Result<JsonObject>> Handle(Command command, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            await unit.Connection.ExecuteAsync(new(
                """
                INSERT INTO session.devices (tenant_id, device_id, settings, updated_at) VALUES (@TenantId, @DeviceId, @Settings::jsonb, @now)
                ON CONFLICT (tenant_id, device_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at
                """,
                new { caller.TenantId, command.DeviceId, command.Settings, now }, unit.Transaction, cancellationToken: cancellationToken));
            return DeviceSettings.Shown(command.DeviceId, command.Settings, now);
        }
    }
}
