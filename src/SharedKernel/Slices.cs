using System.Reflection;
using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.SharedKernel;

public static class Slices
{
    /// <summary>What every module stands on: mediator, unit of work, behaviours, outbox, clock.</summary>
    public static IServiceCollection AddSharedKernel(this IServiceCollection services)
    {
        DapperSettings.Apply();
        ValidatorOptions.Global.DisplayNameResolver = (_, member, _) => member is null ? null : System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(member.Name);
        services.TryAddSingleton(TimeProvider.System);
        services.AddScoped<ServiceFactory>(provider => provider.GetService!);
        services.AddScoped<IMediator, Mediator>();
        services.AddScoped<Caller>();
        services.AddScoped<UnitOfWork>();
        services.AddSingleton<Transactions>();
        services.AddScoped<Idempotency>();
        services.AddScoped<AuditLog>();

        services.AddScoped<RequestKey>();

        // Outermost first: validate before a key is taken or a transaction opened.
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(ConnectionBehavior<,>));
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(ValidationBehavior<,>));
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(EffectBehavior<,>));
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(UnitOfWorkBehavior<,>));
        services.AddKeyedSingleton<WakeUp>(typeof(OutboxWriter));
        services.AddScoped(p => new OutboxWriter(
            p.GetRequiredService<UnitOfWork>(), p.GetRequiredKeyedService<WakeUp>(typeof(OutboxWriter)), p.GetRequiredService<TimeProvider>()));
        services.AddHostedService<OutboxDispatcher>();
        services.AddScoped<IScheduledJob, ClearOutPlatform>();
        return services;
    }

    /// <summary>Registers the handlers, reactions and validators of one module's assembly, and nothing else of it.</summary>
    public static IServiceCollection AddSlices(this IServiceCollection services, Assembly module) =>
        services.Scan(scan => scan.FromAssemblies(module)
            .AddClasses(c => c.AssignableToAny(typeof(IRequestHandler<,>), typeof(INotificationHandler<>)), publicOnly: false)
                .AsImplementedInterfaces(i => i.IsGenericType && i.GetGenericTypeDefinition() is var g
                    && (g == typeof(IRequestHandler<,>) || g == typeof(INotificationHandler<>)))
                .WithTransientLifetime()
            .AddClasses(c => c.AssignableTo(typeof(IValidator<>)).Where(t => t.IsNested), publicOnly: false)
                .AsImplementedInterfaces(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IValidator<>))
                .WithSingletonLifetime());
}
